"""hw/golden_vector.py against a plain loop over Python integers, and the properties its users rely on."""

from __future__ import annotations

import numpy as np
import pytest
from vector_cases import COUNTED, random_fields, random_state, set_image_count, write_tables

from algo.arithmetic import noise16
from hw import isa
from hw.golden_vector import execute_vector
from hw.state import CoreState


def signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def clamp(value: int, low: int, high: int) -> int:
    return max(low, min(value, high))


def byte_of(value: int, byte: int) -> int:
    """Return the high (1) or low (2) byte of a value that is saturated to 16 bits."""
    value = clamp(value, -32640, 32639)
    low = (value + 128) % 256 - 128
    return (value - low) // 256 if byte == 1 else low


class Plain:
    """hw/architecture.md "vector", element by element, on Python integers."""

    def __init__(self, state: CoreState, fields: dict[str, int]):
        self.state, self.f, self.g = state, fields, state.config.g
        table = [int(word) for word in state.mem["C"]]
        self.record = table[fields["c_rec"] : fields["c_rec"] + 4]
        self.pairs = [
            table[at : at + 2] if fields["per_channel"] else self.record[:2]
            for at in (fields["c_coef"] + lane * fields["c_stride"] for lane in range(self.g))
        ]
        self.above = [False] * self.g
        self.counts = dict.fromkeys(COUNTED, 0)
        self.counts["table_reads"] = 2 * self.g + 2 if fields["per_channel"] else 4

    def operand(self, memory: str, base: int, source: int, j: int) -> list[int]:
        words = self.state.mem[memory]
        self.counts["spad_reads"] += {1: 1, 2: 4}.get(source, 0)
        if source == 1:
            return [signed(int(byte), 8) for byte in words[(base + j) % len(words)]]
        if source == 2:
            data = b"".join(words[(base + 4 * j + q) % len(words)].tobytes() for q in range(4))
            return [int.from_bytes(data[4 * lane : 4 * lane + 4], "little", signed=True) for lane in range(self.g)]
        return [0] * self.g

    def operand_u(self, j: int) -> list[int]:
        if self.f["u_src"] < 3:
            return self.operand("U", self.f["u_base"], self.f["u_src"], j)
        row = self.f["u_base"] + j
        acc = [int(value) for value in self.state.acc[row]]
        self.counts["acc_reads"] += 1
        if self.f["acc_clear"]:
            self.state.acc[row] = 0
            self.counts["acc_writes"] += 1
        return [(value, (value >> 8 & 255) - 128, 255 - (value & 255))[self.f["u_src"] - 3] for value in acc]

    def element(self, u: int, v: int, lane: int, image: int, p: int) -> int:
        f = self.f
        ab, d = self.pairs[lane]
        low, high = -(1 << 24), (1 << 24) - 1
        total = signed(ab, 18) * clamp(u >> f["su"], low, high) + signed(ab >> 32, 18) * clamp(v >> f["sv"], low, high)
        total = signed(total + signed(d, 48), 48)
        shift, half = self.record[2] >> 32 & 63, 0x8000
        if f["stochastic"]:
            position = (f["slot"] + image) * f["px_total"] + f["px0"] + p
            half = noise16(self.record[2] & 0xFFFFFFFF, position, (f["ch0"] + lane) & 0xFFFF)
        self.above[lane] = total > 0
        y = ((total * 65536 >> shift) + half) >> 16
        sign = (y > 0) - (y < 0)
        y = (y, max(y, 0), sign, sign * max(abs(y) - (self.record[3] & 0xFFFFFFFF), 0))[f["post"]]
        return (y > 0) - (y < 0) if f["sign_of"] else y

    def run(self, n: int) -> None:
        f, mem = self.f, self.state.mem
        s1, s2, largest, words = [0] * self.g, [0] * self.g, 0, -(-f["img_px"] // 8)
        inputs = [(self.operand_u(j), self.operand("V", f["v_base"], f["v_src"], j)) for j in range(n * f["img_px"])]
        for image in range(n):
            for p in range(f["img_px"]):
                j = image * f["img_px"] + p
                u, v = inputs[j]
                y = [self.element(u[lane], v[lane], lane, image, p) for lane in range(self.g)]
                if f["mask_in"]:
                    word = int.from_bytes(mem["MI"][(f["mi_base"] + image * words + p // 8) % len(mem["MI"])].tobytes(), "little")
                    kept = [bool(word >> (p % 8 * self.g + lane) & 1) for lane in range(self.g)]
                    y = [value if here else 0 for value, here in zip(y, kept, strict=True)]
                    self.above = [above and here for above, here in zip(self.above, kept, strict=True)]
                    self.counts["spad_reads"] += p % 8 == 0
                if f["mask_out"]:
                    self.write_mask(f["mo_base"] + image * words + p // 8, p, self.above)
                y = [clamp(value, -(1 << 31) + 1, (1 << 31) - 1) for value in y]
                largest = max(largest, *(abs(value) for value in y))
                limit = (1 << 23) - 1 if f["dst_wide"] else 127
                out = [byte_of(value, f["byte"]) if f["byte"] else clamp(value, -limit, limit) for value in y]
                self.write(j, out)
                for lane in range(self.g):
                    s1[lane] += out[lane]
                    s2[lane] += out[lane] * (signed(v[lane], 8) if f["sums_v"] else out[lane])
        self.counts["vectors"] = n * f["img_px"]
        self.counts["vectors_wide"] = n * f["img_px"] * (f["u_src"] == 2 or f["v_src"] == 2 or f["dst_wide"] == 1)
        self.finish(s1, s2, largest)

    def write_mask(self, at: int, p: int, bits: list[bool]) -> None:
        words = self.state.mem["MO"]
        old = 0 if p % 8 == 0 else int.from_bytes(words[at % len(words)].tobytes(), "little")
        for lane, bit in enumerate(bits):
            old |= bit << (p % 8 * self.g + lane)
        words[at % len(words)] = np.frombuffer(old.to_bytes(self.g, "little"), np.uint8)
        self.counts["spad_writes"] += p % 8 == 0

    def write(self, j: int, out: list[int]) -> None:
        if self.f["dst"]:
            words = self.state.mem[" OUV"[self.f["dst"]]]
            size = 4 if self.f["dst_wide"] else 1
            data = b"".join(value.to_bytes(size, "little", signed=True) for value in out)
            for q in range(size):
                word = np.frombuffer(data[q * self.g : (q + 1) * self.g], np.uint8)
                words[(self.f["o_base"] + size * j + q) % len(words)] = word
            self.counts["spad_writes"] += size

    def finish(self, s1: list[int], s2: list[int], largest: int) -> None:
        f, table = self.f, self.state.mem["C"]
        if f["sums"]:
            for lane in range(self.g):
                for offset, total in enumerate((s1[lane], s2[lane])):
                    at = f["c_sum"] + lane * f["c_stride"] + offset
                    old = 0 if f["sums_first"] else int(table[at])
                    table[at] = np.uint64(signed(total + old, 48) & (1 << 64) - 1)
            self.counts["table_reads"] += 0 if f["sums_first"] else 2 * self.g
            self.counts["table_writes"] += 2 * self.g
        if f["max"]:
            table[f["c_max"]] = np.uint64(max(signed(int(table[f["c_max"]]), 64), largest) & (1 << 64) - 1)
            self.counts["table_reads"] += 1
            self.counts["table_writes"] += 1


def run_golden(state: CoreState, fields: dict[str, int]) -> None:
    execute_vector(state, isa.Instruction("vector", fields))


@pytest.mark.parametrize("seed", range(8))
def test_equals_plain_integers(seed):
    rng = np.random.default_rng(seed)
    for _ in range(25):
        fields = random_fields(rng, 20)
        state, plain = random_state(rng), random_state(rng)
        write_tables(rng, state, fields)
        set_image_count(rng, state, fields)
        for name, memory in state.mem.items():
            plain.mem[name][...] = memory
        plain.acc[...] = state.acc
        run_golden(state, fields)
        model = Plain(plain, fields)
        model.run(plain.images(isa.Instruction("vector", fields)))
        for name, memory in state.mem.items():
            np.testing.assert_array_equal(memory, plain.mem[name], err_msg=f"{name} {fields}")
        np.testing.assert_array_equal(state.acc, plain.acc, err_msg=str(fields))
        assert {name: state.counters[name] for name in COUNTED} == model.counts, fields


def requantise(rng, state: CoreState, **changes: int) -> np.ndarray:
    """Run out = round(u / 2^4) from the accumulator to O and return O's 40 words as int8."""
    fields = {"u_src": 3, "dst": 1, "n_img": 1, "img_px": 40, "c_rec": 8, "px_total": 40, **changes}
    state.mem["C"][8:12] = 1, 0, 4 << 32 | 0x1234, 0
    run_golden(state, fields)
    return state.mem["O"][fields.get("o_base", 0) :][:40].view(np.int8).astype(np.int64)


def test_nearest_is_ties_up_and_saturates_symmetrically():
    state = random_state(np.random.default_rng(0))
    values = np.array([7, 8, 24, -8, -9, -24, 16 * 127 + 7, 16 * 127 + 8, -16 * 127 - 9, -(1 << 31), (1 << 31) - 1])
    state.acc[0, :] = 0
    state.acc[: len(values), 0] = values
    out = requantise(None, state)
    assert out[: len(values), 0].tolist() == [0, 1, 2, 0, -1, -1, 127, 127, -127, -127, 127]


def test_bytes_are_signed_digits_of_the_result_saturated_to_16_bits():
    state = random_state(np.random.default_rng(0))
    values = np.array([0, 127, 128, -128, -129, 383, 32511, 32512, 32639, 32640, -32513, -32640, -32641, 1 << 19, -(1 << 19)])
    state.acc[:40] = 0
    state.acc[: len(values), 0] = 16 * values
    high = [0, 0, 1, 0, -1, 1, 127, 127, 127, 127, -127, -127, -127, 127, -127]
    low = [0, 127, -128, -128, 127, 127, -1, 0, 127, 127, -1, -128, -128, 127, -128]
    for byte, expected in ((1, high), (2, low)):
        state.mem["C"][200] = 0
        out = requantise(None, state, byte=byte, max=1, c_max=200, sums=1, sums_first=1, c_sum=100, c_stride=2)
        assert out[: len(values), 0].tolist() == expected
        assert state.mem["C"][100:102].view(np.int64).tolist() == [sum(expected), sum(value**2 for value in expected)]
        assert state.mem["C"][200] == 1 << 19  # of the result, not of its bytes


def test_both_bytes_draw_the_same_noise():
    rng = np.random.default_rng(8)
    state = random_state(rng)
    state.acc[:40] = rng.integers(-2000, 2000, (40, 4))
    whole = requantise(rng, state, stochastic=1)
    high, low = (requantise(rng, state, stochastic=1, byte=byte) for byte in (1, 2))
    np.testing.assert_array_equal(256 * high + low, whole)


def test_noise_does_not_depend_on_tiles():
    """A tensor in one instruction, in two by rows, and with images apart: the same bits."""
    rng = np.random.default_rng(5)
    state = random_state(rng)
    state.acc[:40] = rng.integers(-2000, 2000, (40, 4))
    whole = requantise(rng, state, stochastic=1, n_img=2, img_px=20, px_total=20, slot=3)
    parts = []
    for image in range(2):
        for first, count in ((0, 7), (7, 13)):
            part = requantise(
                rng, state, stochastic=1, n_img=1, img_px=count, px_total=20, slot=3 + image, px0=first, u_base=image * 20 + first
            )
            parts.append(part[:count].copy())
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    nearest = requantise(rng, state)
    assert (whole != nearest).any() and (np.abs(whole - nearest) <= 1).all()


def test_stochastic_rounding_is_unbiased():
    state = random_state(np.random.default_rng(0))
    state.acc[...] = 5
    total = sum(requantise(None, state, stochastic=1, slot=slot).sum() for slot in range(100))
    # 16000 draws with p = 5/16: the standard error of the sum is 59.
    assert abs(total - 16000 * 5 / 16) < 5 * 59


def test_sums_over_two_instructions_equal_one():
    rng = np.random.default_rng(6)
    state = random_state(rng)
    state.acc[:40] = rng.integers(-2000, 2000, (40, 4))
    requantise(rng, state, sums=1, sums_first=1, c_sum=100, c_stride=2)
    whole = state.mem["C"][100:108].copy()
    requantise(rng, state, sums=1, sums_first=1, c_sum=100, c_stride=2, img_px=15)
    requantise(rng, state, sums=1, c_sum=100, c_stride=2, img_px=25, u_base=15)
    np.testing.assert_array_equal(state.mem["C"][100:108], whole)


def test_no_images_flush_zero_sums():
    state = random_state(np.random.default_rng(7))
    state.mem["IL"][0] = 5
    before = state.mem["O"].copy()
    requantise(None, state, clip=1, slot=5, sums=1, sums_first=1, c_sum=100, c_stride=2, max=1, c_max=200)
    assert not state.mem["C"][100:108].any()
    np.testing.assert_array_equal(state.mem["O"], before)
    assert state.counters["vectors"] == 0 and state.counters["table_writes"] == 9
