"""A recipe: everything that decides a training run but the machine it runs on, as a JSON file. Reading one needs no torch.

    recipe = load_recipe("digits")                       by name, of algo/recipes, or by path
    recipe = replace(recipe, steps=30, batch=16)         dataclasses.replace; the copy checks itself
    exported, images = recipe.export(seed=0)             network, first tensors and exponents, data: needs torch
    images = recipe.load_data(seed=0)                    the data alone
    recipe.batches(images, seed=0).draw(7)               mini-batch of the eighth drawn iteration
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from algo.arithmetic import MASK32
from algo.augmentation import Augmentation, AugmentationError
from algo.data import Images
from algo.data_batches import Batches
from algo.data_sets import check_data, load_data
from algo.gates import Gating
from algo.sgd import Sgd
from algo.sgd_recipe import check_sgd, sgd_for
from algo.start_settings import Start
from algo.update_rule import UpdateRule

if TYPE_CHECKING:
    from torch import nn

    from algo.export import Exported

SCHEMA = 1
MOST_STEPS = MASK32 + 1
"""The hash behind noise, shuffles and drops takes 32 bits of an iteration's number, and as many of a seed."""
RECIPES = Path(__file__).parent / "recipes"
_SUFFIX = ".json"


class RecipeError(ValueError):
    """A recipe is not there or says something that cannot be; the message says what can be."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run.

    Attributes:
        name: of the recipe, for run folders and tables.
        says: what it trains, in a sentence.
        model: kind of the network, of algo.model_sets.MODELS, and its arguments.
        data: kind of the data set, of algo.data_sets.KINDS, and its arguments.
        batch: images in a full mini-batch, from 2.
        steps, epochs: length of the run in drawn iterations or in passes over the training images; one of them is None.
        sgd: settings of SGD and its schedule, see algo.sgd_recipe.
        seed: where none is asked for.
        augmentation: of the images that are trained on, or None.
        start: where the weights start that are not fresh, and which are trained; None for fresh ones and all.
        calibration_images: images of the first mini-batch that the first exponents are calibrated on; None for all.
        methods: method's name to its settings, which the policies read and check.
    """

    name: str
    says: str
    model: dict
    data: dict
    batch: int
    steps: int | None = None
    epochs: int | None = None
    sgd: dict = field(default_factory=dict)
    seed: int = 0
    augmentation: Augmentation | None = None
    start: Start | None = None
    calibration_images: int | None = None
    methods: dict[str, dict] = field(default_factory=dict)

    def __post_init__(self):
        for name, kind in (("name", str), ("says", str), ("model", dict), ("data", dict), ("sgd", dict), ("methods", dict)):
            if not isinstance(getattr(self, name), kind):
                raise RecipeError(f"{self._of(name)} is {getattr(self, name)!r}; {_SAID[kind]} is needed")
        self._check_numbers()
        if not isinstance(self.model.get("kind"), str):
            raise RecipeError(f"{self._of('model')} is {self.model!r}; it needs a kind, and may have arguments beside it")
        wrong = [name for name, settings in self.methods.items() if not isinstance(settings, dict)]
        if wrong:
            raise RecipeError(f"{self._of('methods')} has {wrong[0]}: {self.methods[wrong[0]]!r}; an object is needed")
        check_data(self.data)
        check_sgd(self.sgd)

    def _check_numbers(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise RecipeError(f"recipe {self.name!r} has steps {self.steps} and epochs {self.epochs}; exactly one is needed")
        least = {"batch": 2, "steps": 1, "epochs": 1, "seed": 0, "calibration_images": 1}
        most = {"steps": MOST_STEPS, "epochs": MOST_STEPS, "seed": MASK32}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is None and name not in ("batch", "seed"):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
                raise RecipeError(f"{self._of(name)} is {value!r}; a whole number from {smallest} is needed")
            if value > most.get(name, value):
                raise RecipeError(f"{self._of(name)} is {value}; it is at most {most[name]}")

    def _of(self, name: str) -> str:
        return f"{name} of recipe {self.name!r}"

    def iterations(self, images: Images) -> int:
        """Return the length of the run in drawn iterations. Raises RecipeError where epochs make more than can be numbered."""
        if self.steps is not None:
            return self.steps
        iterations = self.epochs * self.batches(images, self.seed).per_epoch
        if iterations > MOST_STEPS:
            found = f"{self.epochs}, which is {iterations} iterations"
            raise RecipeError(f"{self._of('epochs')} is {found}; at most {MOST_STEPS} can be numbered")
        return iterations

    def sgd_for(self, iterations: int) -> Sgd:
        """Return the optimiser of a run of that many drawn iterations."""
        return sgd_for(self.sgd, iterations)

    def with_rate(self, rate: Fraction | None) -> Recipe:
        """Return the recipe with a method's learning rate in place of its own; itself where the method has none."""
        return self if rate is None else replace(self, sgd={**self.sgd, "lr": str(rate)})

    def load_data(self, seed: int) -> Images:
        """Return the data set. Raises DataError where it is missing or not what it should be."""
        return load_data(self.data, seed)

    def batches(self, images: Images, seed: int) -> Batches:
        """Return the mini-batches of the run; drawing one loads it."""
        return Batches(images, self.batch, seed, self.augmentation)

    def make_model(self, seed: int) -> nn.Module:
        """Return the network as it starts, its fresh weights initialised from the seed. Needs torch.

        Raises:
            ExportError, WeightsError: there is no such network, or its weights are not those of the start.
        """
        from algo.model_sets import make_model
        from algo.start import begin

        module = make_model(self.model, seed)
        if self.start:
            begin(module, self.start)
        return module

    def export(
        self, seed: int, update: UpdateRule | str = "gradient", gated: Gating | None = None
    ) -> tuple[Exported, Images]:
        """Return the training step, calibrated on the first mini-batch as it is drawn, and the data. Needs torch.

        Args:
            update: rule of the weight updates, see `algo.export.export`.
            gated: for a method that lets samples skip blocks, see there.

        Raises:
            ExportError, DataError: see `make_model`, `load_data` and `algo.export.export`.
            RecipeError: the data has more classes than the network tells apart.
        """
        from algo.export import build_step, export

        images = self.load_data(seed)
        first, labels = self.batches(images, seed).draw(0)
        count = self.calibration_images or self.batch
        sgd = self.sgd_for(self.iterations(images))
        module = self.make_model(seed)
        step = build_step(module, images.train.shape[1:], self.batch)
        logits = step.tensors[step.logits].shape[0]
        if images.classes > logits:
            found = f"{logits} classes and its data set, {images.name}, has {images.classes}"
            raise RecipeError(f"the model of recipe {self.name!r} tells apart {found}; give the model classes {images.classes}")
        return export(module, first[:count], labels[:count], images.exponent, self.batch, sgd, seed, update, gated), images

    def to_json(self) -> dict:
        """Return plain data; `from_json` is the inverse."""
        data = {one.name: copy.deepcopy(getattr(self, one.name)) for one in fields(self)}
        data |= {name: asdict(getattr(self, name)) for name in ("augmentation", "start") if getattr(self, name)}
        return {"schema": SCHEMA, **{name: value for name, value in data.items() if value is not None}}

    @staticmethod
    def from_json(data: object) -> Recipe:
        """Rebuild a recipe. Raises RecipeError, or DataError of its data set, where the data is not one."""
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            found = f"schema {data.get('schema')!r}" if isinstance(data, dict) else f"a {type(data).__name__}"
            raise RecipeError(f"a recipe holds {found}; an object with schema {SCHEMA} is needed")
        data = copy.deepcopy({name: value for name, value in data.items() if name != "schema"})
        known = [one.name for one in fields(Recipe)]
        _refuse_unknown("a recipe", data, ["schema", *known])
        missing = [name for name in _NEEDED if name not in data]
        if missing:
            raise RecipeError(f"a recipe has no {', '.join(missing)}; it needs {', '.join(_NEEDED)}, and steps or epochs")
        if data.get("augmentation") is not None:
            data["augmentation"] = _augmentation(data["augmentation"])
        if data.get("start") is not None:
            data["start"] = Start.from_json(data["start"])
        return Recipe(**data)


_NEEDED = ("name", "says", "model", "data", "batch")
_SAID = {str: "a text", dict: "an object"}


def _augmentation(data: object) -> Augmentation:
    if not isinstance(data, dict):
        raise RecipeError(f"augmentation of a recipe is {data!r}; an object or null is needed")
    _refuse_unknown("augmentation", data, [one.name for one in fields(Augmentation)])
    return Augmentation(**data)


def _refuse_unknown(what: str, data: dict, known: list[str]) -> None:
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise RecipeError(f"{what} has no {', '.join(unknown)}; it may have {', '.join(known)}")


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the project."""
    return sorted(path.stem for path in RECIPES.glob(f"*{_SUFFIX}"))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Return a recipe of the project by its name, or one from a file, whose path ends in .json.

    Raises:
        RecipeError: there is none, or it says something that cannot be.
    """
    given = str(name_or_path)
    path = Path(given) if given.endswith(_SUFFIX) else RECIPES / f"{given}{_SUFFIX}"
    if not given.endswith(_SUFFIX) and given not in recipe_names():
        raise RecipeError(f"recipe {given!r} is not known; there are {', '.join(recipe_names())}, or give a .json file")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"recipe {given} is not there; give one of {', '.join(recipe_names())} or a .json file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecipeError(f"recipe {given} cannot be read as JSON ({error})") from None
    try:
        return Recipe.from_json(data)
    except (ValueError, AugmentationError) as error:
        raise RecipeError(f"recipe {given}: {error}") from None
