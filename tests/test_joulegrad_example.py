"""The README's programs run as they stand, and the names to import are there, lazily."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hwmon_tree import HwmonTree
from torch import nn

import joulegrad

ROOT = Path(__file__).parents[1]


def programs() -> list[str]:
    """Return the README's Python programs: the measurement, then the network."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def test_the_readme_example_measures(tmp_path, monkeypatch, capsys):
    """With a monitor in files instead of rapl and less idle, so that it takes a second."""
    code = programs()[0].replace('"rapl", idle=10', f"{HwmonTree(tmp_path / 'sys').url()!r}, idle=0.2")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"train": lambda: time.sleep(0.2)})
    assert capsys.readouterr().out.startswith("Quantity(value=")


def test_the_readme_example_trains_bit_exactly_on_the_simulated_board():
    code = programs()[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    *iterations, evaluation = done.stdout.splitlines()
    assert [tuple(map(int, line.split()[:2])) for line in iterations] == [(0, 6), (1, 2), (2, 6), (3, 2)]
    assert all(0 < float(line.split()[2]) < 5 and int(line.split()[3]) > 10_000 for line in iterations)
    assert re.fullmatch(r"Evaluation\(loss=[0-9.]+, correct=\d, images=8\)", evaluation)


@pytest.mark.parametrize("name", joulegrad.__all__)
def test_names_to_import_are_what_they_say(name):
    found = getattr(joulegrad, name)
    assert found.__name__ == name and found.__module__ == joulegrad.NAMES[name] and found.__doc__
    assert name in dir(joulegrad)
    assert not (ROOT / "joulegrad" / f"{name}.py").exists(), "once imported, the module would stand in the name's place"


def test_importing_joulegrad_is_light():
    code = "import sys, joulegrad\nsys.exit(sorted({'torch', 'numpy', 'typer'} & set(sys.modules)) != [])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_an_unknown_name_is_refused():
    with pytest.raises(ImportError):
        from joulegrad import nothing_of_that_name  # noqa: F401


def network(middle: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3), middle, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))


IMAGES, LABELS = np.ones((4, 2, 5, 5), np.int8), np.arange(4) % 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"module": network(nn.SiLU())}, "1 is a SiLU; supported are Conv2d"),
        ({"module": network(nn.Conv2d(4, 4, 3, groups=2))}, "1 has 2 groups of 4 and 4 channels"),
        ({"images": IMAGES.tolist()}, "images are a list; a numpy array of int8"),
        ({"images": IMAGES.astype(np.float32)}, r"images are float32 \(4, 2, 5, 5\); a numpy array of int8"),
        ({"labels": LABELS[:3]}, "4 images and 3 labels"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "0 images and 0 labels"),
        ({"exponent": -0.5}, "exponent of the images is -0.5; an integer"),
        ({"exponent": 10**30}, "exponent of the images is 1000000000000000000000000000000; an integer from -16 to 16"),
        ({"batch": 30_000}, "sums 270000 products in grad_weight; 132104"),
    ],
)
def test_a_network_or_images_that_cannot_be_are_one_sentence(change, words):
    asked = {"module": network(nn.ReLU()), "images": IMAGES, "labels": LABELS, "exponent": -5, "batch": 4} | change
    with pytest.raises(ValueError, match=words):
        joulegrad.export(**asked, sgd=joulegrad.Sgd())


def test_an_evaluation_of_nothing_is_refused():
    config = joulegrad.load_config("tiny")
    exported = joulegrad.export(network(nn.ReLU()), IMAGES, LABELS, -5, batch=4, sgd=joulegrad.Sgd())
    program = joulegrad.compile_step(exported.step, config, exported.tensors, exported.state)
    with joulegrad.open_board("golden", config) as board:
        run = joulegrad.Runtime(board, program, exported.state)
        with pytest.raises(ValueError, match="0 images and 0 labels"):
            run.evaluate(IMAGES[:0], LABELS[:0])
