"""The list of the core's RTL is whole and in order; the smallest core and its surroundings are clean under every warning."""

import re

import pytest

from hw import simulate, verilator
from hw.config import load_config
from hw.lint import TOPS, lint


def instances(text: str, modules: set[str]) -> set[str]:
    """Return which of the modules a source instantiates."""
    text = re.sub(r"//.*", "", text)
    return {name for name in modules if re.search(rf"^\s*{name}\s*(#\s*\(|u_\w+\s*\()", text, re.MULTILINE)}


def test_list_holds_every_file_once():
    files = simulate.rtl_files()
    assert sorted(files) == sorted(verilator.RTL.glob("*.sv"))


def test_list_is_in_dependency_order():
    files = simulate.rtl_files()
    modules = {path.stem for path in files}
    seen = set()
    for path in files:
        missing = instances(path.read_text(), modules) - seen
        assert not missing, f"{path.name} stands before {sorted(missing)}"
        seen.add(path.stem)


@pytest.mark.parametrize("top", TOPS)
def test_core_and_what_stands_around_it_is_clean(top):
    assert lint(load_config("tiny"), top) == ""


def test_no_pragmas_in_rtl():
    for path in verilator.RTL.glob("*.sv"):
        assert not re.search(r"lint_off|\btranslate_off\b", path.read_text()), path.name
