"""CONTRIBUTING.md: the files that it sends people to are there, and its training method trains on a board as in PyTorch."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import invoke
from packed_programs import RECIPE

from algo.policies import method
from algo.policies.decision import MethodError

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`((?:algo|hw|host|joulegrad|tests)/[\w/.*]+)`", PAGE))))
def test_files_that_the_page_names_are_there(path):
    assert list(ROOT.glob(path))


@pytest.mark.parametrize(
    ("table", "file"),
    [("MODELS", "algo/model_sets.py"), ("KINDS", "algo/data_sets.py"), ("POLICIES", "algo/policies/method.py"),
     ("CHIPS", "host/power_chips.py")],
)  # fmt: skip
def test_tables_that_the_page_names_are_where_it_says(table, file):
    assert f"`{table}` of `{file}`" in PAGE
    assert re.search(rf"^{table}\b.* = ", (ROOT / file).read_text(), re.MULTILINE)


@pytest.fixture
def thinned(monkeypatch):
    """The page's policy, entered where the page says."""
    names = {"__name__": "thinned"}
    exec(compile(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], "CONTRIBUTING.md", "exec", dont_inherit=True), names)
    monkeypatch.setitem(method.POLICIES, "thinned", names["Thinned"])
    monkeypatch.setitem(method.METHODS, "thinned", ("thinned",))


@pytest.mark.usefixtures("thinned")
def test_the_pages_method_trains_on_a_board_as_in_pytorch(tmp_path):
    path = tmp_path / "mine.json"
    settings = {"thinned": {"period": 3}, "swa": {"start": "1/4", "every": 1, "settle": 2}}
    path.write_text(json.dumps(RECIPE | {"steps": 6, "methods": settings}))
    asked = ["bench", str(path), "--board", "golden", "--config", "tiny", "--method", "thinned+swa", "--check", "--json"]
    code, out, err = invoke(*asked, "--out", tmp_path / "run")
    assert code == 0, err
    result = json.loads(out)
    assert (result["iterations_drawn"], result["iterations_executed"]) == (6, 4) and result["counters_exact"]


@pytest.mark.usefixtures("thinned")
@pytest.mark.parametrize("period", [1, 7])
def test_the_pages_method_refuses_what_cannot_be(period):
    with pytest.raises(MethodError, match=f"thinned period (is )?{period}"):
        method.Method.from_settings("thinned", {"thinned": {"period": period}}).begin(0, 6)
