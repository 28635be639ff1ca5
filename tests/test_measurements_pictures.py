"""Pictures: written as PNG with labels and units; without a display; a clear refusal where they cannot be."""

from __future__ import annotations

import subprocess
import sys

import pytest

from measurements import pictures
from measurements.energy_model import Shares

SHARES = [Shares(1e-3, 2e-3, 5e-4, 1e-3, 2e-2)] * 5
ENERGY = {"simulated": [0.02] * 5, "emulated": [0.021] * 5}
CURVES = pictures.RunCurves("digits", [2.3, 2.0, 1.5, 1.2, 1.1], [0.1, 0.3, 0.5, 0.7, 0.9], [(5, 0.91)], ENERGY, SHARES)


def texts(figure) -> str:
    return "\n".join(t.get_text() for t in figure.findobj(lambda artist: hasattr(artist, "get_text")))


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    monkeypatch.setattr(pictures, "_save", lambda figure, path: figures.append(figure))
    return figures


def test_pngs_are_written(tmp_path):
    pictures.draw_run(CURVES, tmp_path / "run.png")
    pictures.draw_shares("digits", SHARES[0], SHARES[0], tmp_path / "shares.png")
    for name in ("run.png", "shares.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_run_picture_has_labels_units_and_energy_labels(drawn):
    pictures.draw_run(CURVES, "unused")
    said = texts(drawn[0])
    words = ("iteration", "nats", "right answers", "held-out images:\n91.0 %", "mJ per iteration")
    for word in (*words, "simulated", "emulated", "array", "processor", "idle"):
        assert word in said
    assert "measured" not in said


def test_a_run_without_energy_has_no_energy_axis(drawn):
    pictures.draw_run(pictures.RunCurves("golden", [2.0, 1.0], [0.5, 0.5], [], {}, []), "unused")
    assert "mJ" not in texts(drawn[0])
    assert "held-out" not in texts(drawn[0])


def test_unwritable_picture(tmp_path):
    with pytest.raises(pictures.PictureError, match="cannot be written"):
        pictures.draw_shares("digits", SHARES[0], SHARES[0], tmp_path / "absent" / "shares.png")


def test_matplotlib_is_imported_only_to_draw():
    code = "import sys, measurements.pictures; sys.exit(bool({'matplotlib', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(pictures.PictureError, match="pip install matplotlib"):
        pictures.draw_run(CURVES, tmp_path / "run.png")
