"""The ledgers that count: multiply-accumulates, as they are and scaled by bits, of a step's products and recorded decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from algo.policies.method import Method
from algo.policies.slu import gate_macs
from algo.step import Compute, Product, Step, Update
from measurements.ledger import BitScaledLedger, Key, Ledger, MacLedger

COUNTED = ("forward", "grad_input", "grad_weight")
INT8 = 8
FULL = 32
"""Bits of the numbers that bit-scaled multiply-accumulates are counted in."""

GATES = "gates (processor)"
"""Layer of what the processor computes for a method's gates."""


def product_macs(product: Product, images: int) -> int:
    """Return n * k * c * oh * ow * r * r of a product, c = 1 where it is depthwise, padding taps counted; 0 for pools."""
    if product.kind not in COUNTED:
        return 0
    (k, oh, ow), (kh, kw) = product.out_shape, product.kernel
    return images * k * product.channels_each * oh * ow * kh * kw


def segments_of(step: Step, images: int | Mapping[str, int]) -> Mapping[str, int]:
    """Return segment to images of a training iteration: those given, or all segments for as many images."""
    if isinstance(images, Mapping):
        return images
    return {name: images for part in step.sequence for name in (part.forward, part.backward)}


def mac_ledger(step: Step, images: int | Mapping[str, int], method: Method | None = None) -> MacLedger:
    """Return the multiply-accumulates of one training iteration.

    Args:
        images: of the mini-batch; or segment to the images that it ran for, as the iteration recorded them.
        method: of training; the gates of selective layer update compute on the processor, and are counted.
    """
    amounts: dict[Key, int] = {}
    for layer, product, _, count in _products(step, images):
        key = layer, product.kind
        amounts[key] = amounts.get(key, 0) + product_macs(product, count)
    amounts |= {(GATES, phase): macs for phase, macs in _gates(step, images, method).items()}
    return MacLedger(amounts, method.name if method else "")


def bit_scaled_ledger(
    step: Step, images: int | Mapping[str, int], bits: tuple[int, int] = (INT8, INT8), method: Method | None = None
) -> BitScaledLedger:
    """Return the bit-scaled multiply-accumulates of one training iteration.

    Args:
        bits: of activations and weights, and of gradients that have a byte, in this iteration. Images have 8.
        method: of training; predicted weight gradients are counted at the predictor's bits, gates at 32 and 32.
    """
    forward, backward = bits if step.gradient_bits == INT8 else (bits[0], step.gradient_bits)
    predictor = method["psg_abstain"] if method else None
    amounts: dict[Key, Fraction] = {}
    for layer, product, node, count in _products(step, images):
        of_x = INT8 if product.a == step.input else forward
        pair = {"forward": (of_x, forward), "grad_input": (backward, forward), "grad_weight": (of_x, backward)}[product.kind]
        if predictor and isinstance(node, Update) and node.record_s:
            pair = predictor.x_bits, predictor.g_bits
        key = layer, product.kind
        amounts[key] = amounts.get(key, 0) + product_macs(product, count) * scale(*pair)
    amounts |= {(GATES, phase): Fraction(macs) for phase, macs in _gates(step, images, method).items()}
    return BitScaledLedger(amounts, method.name if method else "")


def scale(bits_a: int, bits_b: int) -> Fraction:
    """Return what one multiply-accumulate of these widths counts."""
    return Fraction(bits_a * bits_b, FULL * FULL)


def run_ledgers(step: Step, lines: Iterable[Mapping], method: Method | None = None) -> tuple[MacLedger, BitScaledLedger]:
    """Return both ledgers of a run.

    Args:
        lines: of iterations.jsonl: "images", or "images_by_segment" of a step with gated blocks, and "bits" where they are not
            8 and 8.
    """
    counted: dict[tuple, int] = {}
    for line in lines:
        images = line.get("images_by_segment") or line["images"]
        key = tuple(images.items()) if isinstance(images, Mapping) else images, tuple(line.get("bits", (INT8, INT8)))
        counted[key] = counted.get(key, 0) + 1
    name = method.name if method else ""
    totals: tuple[Ledger, Ledger] = MacLedger(method=name), BitScaledLedger(method=name)
    for (images, bits), times in counted.items():
        images = dict(images) if isinstance(images, tuple) else images
        each = mac_ledger(step, images, method), bit_scaled_ledger(step, images, bits, method)
        totals = totals[0] + each[0].times(times), totals[1] + each[1].times(times)
    return totals


def _products(step: Step, images: int | Mapping[str, int]) -> Iterable[tuple[str, Product, Compute | Update, int]]:
    """Yield (layer, product, node, images) of all products that are counted."""
    for segment, count in segments_of(step, images).items():
        for node in step.segments[segment]:
            product = node.product if isinstance(node, (Compute, Update)) else None
            if product is not None and product.kind in COUNTED:
                weight = node.weight if isinstance(node, Update) else product.b
                yield weight.removesuffix(".weight"), product, node, count


def _gates(step: Step, images: int | Mapping[str, int], method: Method | None) -> dict[str, int]:
    if not (method and method["slu"] and step.gated_blocks):
        return {}
    mini_batch = segments_of(step, images)[step.sequence[0].forward]
    return {f"gates {phase}": macs for phase, macs in gate_macs(step.gated_blocks, mini_batch).items()}
