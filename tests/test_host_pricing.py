"""Pricing on predicted cycles: which numbers of images are predicted, and what those in between are."""

from __future__ import annotations

from host.pricing import on_the_line


def test_cycles_of_many_images_lie_on_the_line_between_predicted_ones():
    asked = []

    def exact(images):
        asked.append(images)
        return images * images

    assert [on_the_line(exact, images, 43) for images in (3, 16, 24, 40, 43)] == [9, 256, 576, 1600, 1849]
    assert asked == [3, 16, 24, 40, 43]
    asked.clear()
    assert on_the_line(exact, 18, 43) == 256 + (576 - 256) * 2 // 8
    assert on_the_line(exact, 42, 43) == 1600 + (1849 - 1600) * 2 // 3
    assert asked == [16, 24, 40, 43]
