"""How much of the array's peak is used: multiply-accumulates that the mathematics asks for, over those that the cycles offer."""

from __future__ import annotations

from collections.abc import Mapping

from algo.step import Compute, Product, Step, Update

COUNTED = ("forward", "grad_input", "grad_weight")


def product_macs(product: Product, images: int) -> int:
    """Return n * k * c * oh * ow * r * r of a product, c = 1 where it is depthwise, padding taps counted; 0 for pools."""
    if product.kind not in COUNTED:
        return 0
    (k, oh, ow), (kh, kw) = product.out_shape, product.kernel
    return images * k * product.channels_each * oh * ow * kh * kw


def training_macs(step: Step, images: int | Mapping[str, int]) -> int:
    """Return the multiply-accumulates of one training iteration.

    Args:
        images: of the mini-batch; or, of a step with gated blocks, segment to the images that it ran for.
    """
    if not isinstance(images, Mapping):
        images = {name: images for part in step.sequence for name in (part.forward, part.backward)}
    macs = 0
    for name, count in images.items():
        products = [node.product for node in step.segments[name] if isinstance(node, (Compute, Update)) and node.product]
        macs += sum(product_macs(product, count) for product in products)
    return macs


def peak_share(macs: int, cycles: int, g: int) -> float:
    """Return macs / (cycles * g * g)."""
    return macs / (cycles * g * g)
