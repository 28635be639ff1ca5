"""The golden array model against plain loops of the specification and against torch's convolution and pools."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from array_cases import MODES, fill, random_instruction, small_config
from torch.nn import functional

from hw import golden_array, isa
from hw.state import CoreError, CoreState

G = 4


def int32(x: int) -> int:
    return (x + (1 << 31)) % (1 << 32) - (1 << 31)


def dropped(values, shift: int, added: int):
    """Operands without their low bits, one number after the other: multiples of 2^shift."""
    most = 2 ** (7 - shift) - 1
    return np.array([min(max((int(v) + added) // 2**shift, -most), most) * 2**shift if shift else int(v) for v in values], object)


def few_bits(state: CoreState, ins: isa.Instruction, kb: int, red: int, ky: int, kx: int, place: tuple[int, int, int]):
    """Operands A and W of a slot of the tap (ky, kx), rounded, and whether the strided coordinate is inside."""
    i, y, x = place
    sy, sx = y * ins["stride"] + ky + ins["oy"], x * ins["stride"] + kx + ins["ox"]
    inside = 0 <= sy < ins["h"] and 0 <= sx < ins["w"]
    word = ins["a_base"] + red * ins["a_step_red"] + i * ins["a_step_img"] + sy * ins["w"] + sx
    a = state.mem["A"].view(np.int8)[word] if inside else np.zeros(state.config.g)
    word = ins["b_base"] + kb * ins["b_step_kb"] + i * ins["b_step_img"] + y * ins["n_x"] + x
    index = (ins["dither"] + 9 * i + 5 * y + 7 * x) % 64
    b = dropped(state.mem["W"].view(np.int8)[word], ins["b_drop"], index % 2 ** ins["b_drop"])
    return dropped(a, ins["a_drop"], 2 ** ins["a_drop"] // 2), b, inside


def count_pass_of_two_taps(state: CoreState, ins: isa.Instruction, kb: int, red: int, ky: int, kx: int) -> None:
    """A pass of two taps, `stride` columns or rows apart: each line has a slot more, the first, which reads operand A alone."""
    g, count = state.config.g, state.counters
    pe = [np.zeros((g, g), object), np.zeros((g, g), object)]
    second = (ky + ins["stride"], kx) if ins["down"] else (ky, kx + ins["stride"])
    lines, pixels = (ins["n_x"], ins["n_y"]) if ins["down"] else (ins["n_y"], ins["n_x"])
    for i, line in np.ndindex(state.images(ins), lines):
        inside_before = False
        for pixel in range(-1, pixels):
            place = (i, pixel, line) if ins["down"] else (i, line, pixel)
            count[golden_array.SLOT_COUNTERS[ins["product"]]] += 1
            _, _, inside = few_bits(state, ins, kb, red, *second, place)
            count["spad_reads"] += inside + (pixel >= 0)
            if pixel >= 0:
                count["macs_int4"] += 2 * g * g * (inside or inside_before)
                for sums, tap in zip(pe, ((ky, kx), second), strict=True):
                    a, b, _ = few_bits(state, ins, kb, red, *tap, place)
                    sums += np.outer(a, b)
            inside_before = inside
    for name in ("drained_rows", "acc_reads", "acc_writes"):
        count[name] += 2 * g
    row0 = ins["c_base"] + kb * ins["c_step_kb"] + red * ins["c_step_red"] + (ky * ins["n_kx"] + kx) * ins["c_step_tap"]
    for tap in range(2):
        for row, col in np.ndindex(g, g):
            c = row0 + tap * ins["c_step_pair"] + row
            state.acc[c, col] = int32(int(state.acc[c, col]) + int(pe[tap][row, col]))


def run_loops(state: CoreState, ins: isa.Instruction) -> None:
    """The loop nest of hw/architecture.md, one multiply at a time, with its counters."""
    f = ins.fields
    get = lambda name: f.get(name, 0)  # noqa: E731
    g, n, count = state.config.g, state.images(ins), state.counters
    a_mem, w_mem = state.mem["A"].view(np.int8), state.mem["W"].view(np.int8)
    slot_counter = golden_array.SLOT_COUNTERS[get("product")]
    for kb in range(get("n_kb")):
        for red in range(get("n_red")):
            held = False
            for ky in range(get("n_ky")):
                for kx in range(get("n_kx")):
                    tap = ky * get("n_kx") + kx
                    bit = (kb * get("n_red") + red) * get("n_ky") * get("n_kx") + tap
                    if get("use_blocks") and not int(state.mem["BL"][get("blocks_base") + bit // 64]) >> bit % 64 & 1:
                        continue
                    if get("pair"):
                        count_pass_of_two_taps(state, ins, kb, red, ky, kx)
                        continue
                    pe = np.zeros((g, g), object)
                    if not get("os"):
                        step = 0 if get("hold_weights") else tap * get("b_step_tap")
                        word = get("b_base") + kb * get("b_step_kb") + red * get("b_step_red") + step
                        block = w_mem[word : word + g].astype(object)
                        block = block.T if get("transpose") else block
                        if not (get("hold_weights") and held):
                            count["weight_blocks"] += 1
                            count["spad_reads"] += g
                        held = True
                    for i in range(n):
                        for y in range(get("n_y")):
                            for x in range(get("n_x")):
                                count[slot_counter] += 1
                                plain = y * get("n_x") + x
                                sy, sx = y * get("stride") + ky + get("oy"), x * get("stride") + kx + get("ox")
                                inside = 0 <= sy < get("h") and 0 <= sx < get("w")
                                count["macs_int8"] += g * g * inside
                                strided = sy * get("w") + sx
                                base = get("a_base") + red * get("a_step_red") + i * get("a_step_img")
                                a = np.zeros(g, object)
                                if inside:
                                    a = a_mem[base + (plain if get("scatter") else strided)].astype(object)
                                    count["spad_reads"] += 1
                                if get("os"):
                                    a = dropped(a, get("a_drop"), 2 ** get("a_drop") // 2)
                                    word = get("b_base") + kb * get("b_step_kb") + i * get("b_step_img") + plain
                                    index = (get("dither") + 9 * i + 5 * y + 7 * x) % 64
                                    b = dropped(w_mem[word], get("b_drop"), index % 2 ** get("b_drop"))
                                    count["spad_reads"] += 1
                                    pe += np.outer(a, b)
                                    continue
                                if not inside and (get("scatter") or get("acc_max")):
                                    continue
                                if get("select"):
                                    index = state.mem["W"][get("idx_base") + base - get("a_base") + plain]
                                    a = np.where(index == tap, a, 0)
                                    count["spad_reads"] += 1
                                c = get("c_base") + kb * get("c_step_kb") + i * get("c_step_img")
                                c += strided if get("scatter") else plain
                                s = a @ block
                                count["acc_reads"] += 1
                                count["acc_writes"] += 1
                                for col in range(g):
                                    old = int(state.acc[c, col])
                                    s8 = (int(s[col]) + 128) % 256 - 128
                                    new = max(old, (s8 + 128) << 8 | (255 - tap)) if get("acc_max") else int32(old + int(s[col]))
                                    state.acc[c, col] = new
                    if get("os"):
                        count["drained_rows"] += g
                        count["acc_reads"] += g
                        count["acc_writes"] += g
                        for row in range(g):
                            c = get("c_base") + kb * get("c_step_kb") + red * get("c_step_red")
                            c += tap * get("c_step_tap") + row
                            for col in range(g):
                                state.acc[c, col] = int32(int(state.acc[c, col]) + int(pe[row, col]))


@pytest.mark.parametrize("mode", MODES)
def test_equals_plain_loops(mode):
    rng = np.random.default_rng(list(mode.encode()))
    for _ in range(12):
        state, twin = CoreState(small_config(), np.zeros(0, np.uint8)), CoreState(small_config(), np.zeros(0, np.uint8))
        fill(state, rng)
        for name, words in state.mem.items():
            twin.mem[name][:] = words
        twin.acc[:] = state.acc
        for _ in range(2):
            instruction = random_instruction(rng, mode, state.config)
            golden_array.execute_array(state, instruction)
            run_loops(twin, instruction)
        np.testing.assert_array_equal(state.acc, twin.acc)
        assert state.counters == twin.counters


def groups(x: np.ndarray) -> np.ndarray:
    """(n, c, h, w) to the words [n][group][y][x][G], channels padded with zeros."""
    n, c, h, w = x.shape
    padded = np.zeros((n, -(-c // G) * G, h, w), np.int8)
    padded[:, :c] = x
    return padded.reshape(n, -1, G, h, w).transpose(0, 1, 3, 4, 2).reshape(-1, G)


def weight_words(x: np.ndarray) -> np.ndarray:
    """(k, c, kh, kw) to the words [k group][c group][ky][kx][c row][k lane]."""
    k, c, kh, kw = x.shape
    padded = np.zeros((-(-k // G) * G, -(-c // G) * G, kh, kw), np.int8)
    padded[:k, :c] = x
    k, c = padded.shape[:2]
    return padded.reshape(k // G, G, c // G, G, kh, kw).transpose(0, 2, 4, 5, 3, 1).reshape(-1, G)


def image_rows(acc: np.ndarray, n: int, c: int, h: int, w: int) -> np.ndarray:
    """Accumulator rows [group][n][y][x] to (n, c, h, w)."""
    return acc[: -(-c // G) * n * h * w].reshape(-1, n, h, w, G).transpose(1, 0, 4, 2, 3).reshape(n, -1, h, w)[:, :c]


CONVOLUTIONS = [  # n, c, k, h, w, r, stride, pad
    (2, 4, 4, 6, 5, 3, 1, 1),
    (1, 7, 5, 5, 6, 3, 2, 1),
    (2, 3, 9, 7, 7, 5, 1, 2),
    (2, 5, 4, 6, 7, 1, 2, 0),
    (1, 4, 6, 7, 5, 5, 2, 3),
    (1, 4, 4, 4, 4, 3, 1, 0),
]


@pytest.mark.parametrize("n,c,k,h,w,r,stride,pad", CONVOLUTIONS)
def test_convolution_equals_torch(n, c, k, h, w, r, stride, pad):
    rng = np.random.default_rng(5)
    x = rng.integers(-127, 128, (n, c, h, w))
    weight = rng.integers(-127, 128, (k, c, r, r))
    xt, wt = (torch.tensor(t, dtype=torch.float64, requires_grad=True) for t in (x, weight))
    out = functional.conv2d(xt, wt, stride=stride, padding=pad)
    oh, ow = out.shape[2:]
    g = rng.integers(-127, 128, tuple(out.shape))
    out.backward(torch.tensor(g, dtype=torch.float64))

    cg, kg = -(-c // G), -(-k // G)
    common = {"n_ky": r, "n_kx": r, "n_img": n, "n_y": oh, "n_x": ow, "stride": stride, "oy": -pad, "ox": -pad, "h": h, "w": w}
    block = {"b_step_tap": G}
    state = CoreState(small_config(a_words=2048, w_words=2048, acc_rows=512), np.zeros(0, np.uint8))

    def run(a, w_words, **fields):
        state.mem["A"][: len(a)] = a.view(np.uint8)
        state.mem["W"][: len(w_words)] = w_words.view(np.uint8)
        state.acc[:] = 0
        golden_array.execute_array(state, isa.Instruction("array", {**common, **fields}))
        return state.acc

    forward = run(groups(x), weight_words(weight), **block, n_kb=kg, n_red=cg, b_step_kb=cg * r * r * G, b_step_red=r * r * G,
                  a_step_red=h * w, a_step_img=cg * h * w, c_step_kb=n * oh * ow, c_step_img=oh * ow)
    np.testing.assert_array_equal(image_rows(forward, n, k, oh, ow), out.detach().numpy())

    grad_input = run(groups(g), weight_words(weight), **block, scatter=1, transpose=1, product=1, n_kb=cg, n_red=kg,
                     b_step_kb=r * r * G, b_step_red=cg * r * r * G, a_step_red=oh * ow, a_step_img=kg * oh * ow,
                     c_step_kb=n * h * w, c_step_img=h * w)
    np.testing.assert_array_equal(image_rows(grad_input, n, c, h, w), xt.grad.numpy())

    grad_weight = run(groups(x), groups(g), os=1, product=2, n_kb=kg, n_red=cg, a_step_red=h * w, a_step_img=cg * h * w,
                      b_step_kb=oh * ow, b_step_img=kg * oh * ow, c_step_kb=cg * r * r * G, c_step_red=r * r * G,
                      c_step_tap=G)
    got = grad_weight[: kg * cg * r * r * G].reshape(kg, cg, r, r, G, G).transpose(0, 5, 1, 4, 2, 3)
    np.testing.assert_array_equal(got.reshape(kg * G, cg * G, r, r)[:k, :c], wt.grad.numpy())


@pytest.mark.parametrize("r,stride,pad", [(2, 2, 0), (3, 2, 1), (3, 1, 1)])
def test_pools_equal_torch(r, stride, pad):
    rng = np.random.default_rng(6)
    n, c, h, w = 2, 4, 6, 7
    x = rng.integers(-127, 128, (n, c, h, w))
    xt = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    largest, where = functional.max_pool2d(xt, r, stride, pad, return_indices=True)
    oh, ow = largest.shape[2:]
    g = rng.integers(-127, 128, tuple(largest.shape))
    (grad_max,) = torch.autograd.grad(largest, xt, torch.tensor(g, dtype=torch.float64))
    mean = functional.avg_pool2d(xt, r, stride, pad)
    (grad_mean,) = torch.autograd.grad(mean, xt, torch.tensor(g, dtype=torch.float64))

    state = CoreState(small_config(a_words=2048, w_words=2048, acc_rows=512), np.zeros(0, np.uint8))
    common = {"product": 3, "hold_weights": 1, "n_kb": 1, "n_red": 1, "n_ky": r, "n_kx": r, "n_img": n, "n_y": oh, "n_x": ow,
              "stride": stride, "oy": -pad, "ox": -pad, "h": h, "w": w, "b_base": 1000}
    gather = {"a_step_img": h * w, "c_step_img": oh * ow}
    scatter = {"a_step_img": oh * ow, "c_step_img": h * w, "scatter": 1}
    state.mem["W"][1000 : 1000 + G] = np.eye(G, dtype=np.uint8)

    def run(words, **fields):
        state.mem["A"][: len(words)] = words.view(np.uint8)
        state.acc[:] = 0
        golden_array.execute_array(state, isa.Instruction("array", {**common, **fields}))
        return state.acc

    total = image_rows(run(groups(x), **gather), n, c, oh, ow)
    np.testing.assert_allclose(total / (r * r), mean.detach().numpy(), rtol=1e-12)
    best = image_rows(run(groups(x), acc_max=1, **gather), n, c, oh, ow)
    np.testing.assert_array_equal((best >> 8) - 128, largest.detach().numpy())
    tap = 255 - (best & 255)
    y = np.arange(oh)[:, None] * stride - pad + tap // r
    position = y * w + np.arange(ow)[None, :] * stride - pad + tap % r
    np.testing.assert_array_equal(position, where.numpy())

    back = image_rows(run(groups(g), **scatter), n, c, h, w)
    np.testing.assert_allclose(back / (r * r), grad_mean.numpy(), rtol=1e-12)
    index = groups(tap.astype(np.int8))
    state.mem["W"][100 : 100 + len(index)] = index.view(np.uint8)
    chosen = image_rows(run(groups(g), select=1, idx_base=100, **scatter), n, c, h, w)
    np.testing.assert_array_equal(chosen, grad_max.numpy())


def test_clip_runs_for_the_images_that_are_left():
    state = CoreState(small_config(), np.zeros(0, np.uint8))
    fill(state, np.random.default_rng(1))
    fields = {"clip": 1, "n_kb": 1, "n_red": 1, "n_ky": 1, "n_kx": 1, "n_img": 3, "n_y": 2, "n_x": 2, "stride": 1, "h": 2, "w": 2,
              "a_step_img": 4, "c_step_img": 4, "slot": 5}
    for count, images in ((0, 0), (5, 0), (6, 1), (7, 2), (8, 3), (60000, 3)):
        state.mem["IL"][0] = 0xABCD0000 + count
        before = state.acc.copy()
        state.counters["slots_forward"] = 0
        golden_array.execute_array(state, isa.Instruction("array", fields))
        changed = np.flatnonzero((state.acc != before).any(axis=1))
        assert changed.tolist() == list(range(4 * images))
        assert state.counters["slots_forward"] == 4 * images


def test_refuses_what_has_no_meaning():
    state = CoreState(small_config(), np.zeros(0, np.uint8))
    fields = {"n_kb": 1, "n_red": 1, "n_ky": 1, "n_kx": 1, "n_img": 1, "n_y": 2, "n_x": 2, "stride": 1, "h": 2, "w": 2}
    with pytest.raises(CoreError, match="os with transpose"):
        golden_array.execute_array(state, isa.Instruction("array", {**fields, "os": 1, "transpose": 1}))
    with pytest.raises(CoreError, match="select without"):
        golden_array.execute_array(state, isa.Instruction("array", {**fields, "select": 1}))
    with pytest.raises(CoreError, match="over 289 taps"):
        golden_array.execute_array(state, isa.Instruction("array", {**fields, "acc_max": 1, "n_ky": 17, "n_kx": 17}))
    alone = CoreState(small_config(pass_taps=1), np.zeros(0, np.uint8))
    with pytest.raises(CoreError, match="tiny has no paired taps"):
        golden_array.execute_array(alone, isa.Instruction("array", {**fields, "os": 1, "pair": 1, "a_drop": 3, "b_drop": 4}))
    with pytest.raises(CoreError, match="word 1026 of A, which has 1024") as caught:
        golden_array.execute_array(state, isa.Instruction("array", {**fields, "a_base": 1023}))
    assert caught.value.code == "bad_address"


def test_a_digits_iteration_takes_seconds():
    """A layer of 16 to 16 channels, 3x3, 16 images of 8x8 in all three products, 20 times: about a digits iteration."""
    state = CoreState(small_config(g=16, a_words=8192, w_words=4096, acc_rows=1024), np.zeros(0, np.uint8))
    fill(state, np.random.default_rng(1))
    layer = {"n_kb": 1, "n_red": 1, "n_ky": 3, "n_kx": 3, "n_img": 16, "n_y": 8, "n_x": 8, "stride": 1, "oy": -1, "ox": -1,
             "h": 8, "w": 8, "a_step_img": 64, "c_step_img": 64, "b_step_tap": 16, "b_step_img": 64}
    start = time.process_time()
    for _ in range(20):
        golden_array.execute_array(state, isa.Instruction("array", layer))
        golden_array.execute_array(state, isa.Instruction("array", {**layer, "scatter": 1, "transpose": 1}))
        golden_array.execute_array(state, isa.Instruction("array", {**layer, "os": 1, "c_step_tap": 16}))
    assert time.process_time() - start < 5.0
