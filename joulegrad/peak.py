"""How much of the array's peak is used: multiply-accumulates that the mathematics asks for, over those that the cycles offer."""

from __future__ import annotations

from algo.step import Compute, Product, Step, Update

COUNTED = ("forward", "grad_input", "grad_weight")
TRAINING = ("forward", "backward")


def product_macs(product: Product, images: int) -> int:
    """Return n * k * c * oh * ow * r * r of a product, padding taps counted; 0 for pools."""
    if product.kind not in COUNTED:
        return 0
    (c, _, _), (k, oh, ow), (kh, kw) = product.in_shape, product.out_shape, product.kernel
    return images * k * c * oh * ow * kh * kw


def training_macs(step: Step, images: int) -> int:
    """Return the multiply-accumulates of one training iteration over `images` images."""
    nodes = [node for name in TRAINING for node in step.segments[name]]
    products = [node.product for node in nodes if isinstance(node, (Compute, Update)) and node.product is not None]
    return sum(product_macs(product, images) for product in products)


def peak_share(macs: int, cycles: int, g: int) -> float:
    """Return macs / (cycles * g * g)."""
    return macs / (cycles * g * g)
