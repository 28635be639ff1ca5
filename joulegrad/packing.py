"""From what a command names - a recipe, or a PROGRAM.jg - to a program with its data; torch is needed for a recipe alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from algo.data import Images
from algo.gates import Gating
from algo.policies.method import PLAIN, Method
from algo.recipe import Recipe, load_recipe, recipe_names
from host import provenance
from host.packed_program import SUFFIX, PackedProgram, digest, read_packed
from hw.compile import compile_step
from hw.config import Config, load_config
from joulegrad.settings import SettingError

if TYPE_CHECKING:
    from algo.export import Exported

CONFIG = "z7020"


@dataclass(frozen=True)
class Asked:
    """A run that is asked for, before anything is made.

    Attributes:
        recipe: with the steps and the batch that were asked for.
        seed, config: of the run.
        method: name of the training method.
        packed: where it comes from a PROGRAM.jg; None where it has to be made.
        path, digest: of that file; "" where there is none.
    """

    recipe: Recipe
    seed: int
    config: Config
    method: str = PLAIN
    packed: PackedProgram | None = None
    path: str = ""
    digest: str = ""

    def other(self, record: dict) -> str:
        """Return in what a run that is there is another than this one, such as "seed 3, not 4"; "" where it is the same.

        Args:
            record: its run.json. The configuration counts where the run has one.
        """
        config = record.get("config") or {}
        there = _deciding(record.get("recipe") or {}, record.get("method") or {}, record.get("seed"))
        here = _deciding(self.recipe.to_json(), Method.from_settings(self.method, self.recipe.methods).to_json(), self.seed)
        if config:
            there["configuration"] = f"{config.get('name')} ({record.get('config_hash')})"
            here["configuration"] = f"{self.config.name} ({self.config.config_hash:08x})"
        name = next((name for name in {**here, **there} if there.get(name) != here.get(name)), None)
        return "" if name is None else f"{name} {there.get(name)}, not {here.get(name)}"

    def export(self) -> tuple[Exported, Images]:
        """Return the recipe's training step under its method, and the data.

        Raises:
            ModuleNotFoundError: there is no torch.
            ExportError, DataError: the recipe's network or data cannot be had.
            MethodError: no executor has the method's update rule.
        """
        method = Method.from_settings(self.method, self.recipe.methods)
        recipe = self.recipe.with_rate(method.rate)
        learned = method["slu"] is not None
        gated = Gating(pooled=learned, gradients=learned, projections=method.gates_projections) if method.gated else None
        from algo.gated_blocks import NoGatedBlock

        try:
            return recipe.export(self.seed, method.update_rule, gated)
        except NoGatedBlock:
            if method.only_gates:
                raise
            return recipe.export(self.seed, method.update_rule)

    def pack(self) -> PackedProgram:
        """Return the program with its data, exported and compiled where need be.

        Raises:
            ModuleNotFoundError: a recipe is exported without torch.
            ExportError, DataError, CompileError: the recipe's network or data cannot be had, or do not fit the configuration.
            MethodError: the method does not fit the run or the network.
        """
        if self.packed is not None:
            return self.packed
        exported, images = self.export()
        program = compile_step(exported.step, self.config, exported.tensors, exported.state)
        made = {"commit": provenance.commit(), "versions": provenance.versions()}
        return PackedProgram(program, self.config, self.recipe, self.seed, images, made, self.method)


def _deciding(recipe: dict, method: dict, seed: int | None) -> dict:
    """Return what decides a run's numbers, by name: the recipe's words and its settings of other methods do not."""
    of_recipe = {name: value for name, value in recipe.items() if name not in ("schema", "name", "says", "seed", "methods")}
    return {"method": method.get("name"), "settings of the method": method.get("settings"), "seed": seed, **of_recipe}


def asked(
    what: str, config: str | None = None, steps: int | None = None, batch_size: int | None = None, seed: int | None = None,
    method: str | None = None,
) -> Asked:  # fmt: skip
    """Return what is asked for.

    Args:
        what: name of a recipe, path of a recipe's .json, or path of a PROGRAM.jg.
        config, steps, batch_size, seed, method: in place of the recipe's own; a PROGRAM.jg has them in it.

    Raises:
        RecipeError, ConfigError, ProgramError: no such recipe, configuration or program.
        SettingError: a setting that is fixed in the PROGRAM.jg, or `what` is none of these.
        MethodError: no such method, or its settings cannot be.
    """
    path = Path(what)
    if _is_packed(path):
        return _from_file(path, {"config": config, "steps": steps, "batch-size": batch_size, "seed": seed, "method": method})
    if path.suffix != ".json" and what not in recipe_names():
        raise SettingError(f"{what!r} is neither a recipe ({', '.join(recipe_names())}, or a .json file) nor a PROGRAM{SUFFIX}")
    recipe = load_recipe(what)
    if steps is not None:
        recipe = dataclasses.replace(recipe, steps=steps, epochs=None)
    if batch_size is not None:
        recipe = dataclasses.replace(recipe, batch=batch_size)
    method = PLAIN if method is None else method
    Method.from_settings(method, recipe.methods)
    return Asked(recipe, recipe.seed if seed is None else seed, load_config(CONFIG if config is None else config), method)


def refuse_packed(what: str) -> None:
    """Raise SettingError where a recipe is needed, and a PROGRAM.jg is named; ProgramError where that is none."""
    if _is_packed(Path(what)):
        read_packed(Path(what))
        raise SettingError(f"{what} is exported already, and compiled for boards: name the recipe that it was made from")


def _is_packed(path: Path) -> bool:
    return path.suffix == SUFFIX or (path.is_file() and path.suffix != ".json")


def _from_file(path: Path, given: dict) -> Asked:
    packed = read_packed(path)
    own = {"steps": packed.iterations, "batch-size": packed.recipe.batch, "seed": packed.seed, "method": packed.method}
    for name, value in own.items():
        if given[name] not in (None, value):
            raise SettingError(f"--{name} {given[name]} with {path}: it holds {value}; export it again with another one")
    if given["config"] is not None and load_config(given["config"]).config_hash != packed.config.config_hash:
        raise SettingError(
            f"--config {given['config']} with {path}: it is compiled for {packed.config.name}; export it again for another one"
        )
    return Asked(packed.recipe, packed.seed, packed.config, packed.method, packed, str(path), digest(path))
