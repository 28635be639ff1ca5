"""The repository's shape: imports point upstream, torch stays in algo, one RTL file list, every folder has its map."""

from __future__ import annotations

import ast
import re
import symtable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOW = ["algo", "hw", "host", "measurements", "joulegrad"]
FILES = [path for folder in FLOW for path in sorted((ROOT / folder).glob("*.py"))]
POLICIES = sorted((ROOT / "algo" / "policies").glob("*.py"))
"""Decisions that the board's loop takes too."""
TORCH_FREE = {
    "arithmetic", "step", "scaling", "loss", "coefficient_programs", "input_fold", "delayed_scaling", "scalar_ops", "sgd", "data",
    "recipe", "sgd_recipe", "data_sets", "data_batches", "augmentation",
    "data_cifar", "data_pickle", "data_pictures", "data_places", "data_split",
    "start_settings", "weights_file", "exact",
    "function_table", "functions", "psg", "update_rule", "trainer", "averaging", "gates",
    "data_arrays", "plain_data", "build_folder",
}


def imported(tree: ast.AST):
    """Yield the first part of every module that is imported anywhere in the tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_imports_point_upstream(path):
    downstream = set(FLOW[FLOW.index(path.parent.name) + 1:])
    assert not downstream & set(imported(ast.parse(path.read_text())))


def test_names_imported_inside_functions_exist():
    """At the top of a file they are found out at once; these only when the function is called."""
    defined = {f"{path.parent.name}.{path.stem}": set(symtable.symtable(path.read_text(), str(path), "exec").get_identifiers())
               for path in FILES}  # fmt: skip
    missing = [
        f"{named(path)}:{node.lineno} {node.module}.{alias.name}"
        for path in FILES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
        for alias in node.names if alias.name not in defined.get(node.module, {alias.name})
    ]  # fmt: skip
    assert not missing


@pytest.mark.parametrize("path", FILES, ids=named)
def test_torch_stays_in_algo(path):
    top_level = ast.Module(
        [node for node in ast.parse(path.read_text()).body if isinstance(node, (ast.Import, ast.ImportFrom))], []
    )
    if path.parent.name != "algo" or path.stem in TORCH_FREE:
        assert "torch" not in set(imported(top_level))


@pytest.mark.parametrize("path", POLICIES, ids=named)
def test_policies_know_no_torch_and_nothing_downstream(path):
    assert not {"torch", *FLOW[1:]} & set(imported(ast.parse(path.read_text())))


def test_the_one_file_list_names_every_rtl_file():
    listed = re.findall(r"(\w+\.sv)\s*$", (ROOT / "hw" / "files.f").read_text(), re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) - {"joulegrad_pkg.sv"} == {path.name for path in (ROOT / "hw" / "rtl").glob("*.sv")}


@pytest.mark.parametrize("path", sorted((ROOT / "hw" / "rtl").glob("*.sv")), ids=lambda path: path.name)
def test_one_module_per_file(path):
    assert re.findall(r"^module\s+(\w+)", path.read_text(), re.MULTILINE) == [path.stem]


@pytest.mark.parametrize("folder", FLOW)
def test_every_folder_has_a_map_that_names_its_files(folder):
    text = (ROOT / folder / "README.md").read_text()
    missing = [path.name for path in (ROOT / folder).glob("*.py") if path.stem != "__init__" and path.stem not in text]
    assert not missing, f"{folder}/README.md does not name {missing}"


def test_the_map_of_the_policies_names_every_one():
    text = (ROOT / "algo" / "policies" / "README.md").read_text()
    missing = [path.name for path in POLICIES if path.stem != "__init__" and path.stem not in text]
    assert not missing, f"algo/policies/README.md does not name {missing}"


def test_every_fault_that_a_sampler_must_survive_has_its_test():
    listed = {int(number) for number in re.findall(r"^\| (\d+) \|", (ROOT / "tests" / "faults.md").read_text(), re.MULTILINE)}
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("test_*.py"))
    marked = {int(number) for number in re.findall(r"mark\.fault\((\d+)\)", tests)}
    assert listed == set(range(1, 41))
    assert not listed - marked, f"faults {sorted(listed - marked)} have no test"


def test_no_machine_paths_in_the_product():
    pattern = re.compile(r"/(?:wor" + r"k|roo" + r"t|hom" + r"e)/\w")
    suffixes = (".py", ".sv", ".md", ".cpp", ".json")
    tracked = [p for folder in [*FLOW, "tests"] for p in (ROOT / folder).rglob("*") if p.suffix in suffixes]
    assert not [named(p) for p in tracked if pattern.search(p.read_text())]
