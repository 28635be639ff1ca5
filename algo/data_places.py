"""Where data sets are looked for: a recipe's path, or the folder that JOULEGRAD_DATA names. Nothing is downloaded. No torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from algo.data import DataError

VARIABLE = "JOULEGRAD_DATA"


def find(what: str, path: object, wanted: str, fits: Callable[[Path], Path | None]) -> Path:
    """Return where a data set is.

    Args:
        what: its name.
        path: of the recipe, or None for the folder that the environment variable names.
        wanted: the files that make it up, in words.
        fits: of a path to the data set in it, or None.

    Raises:
        DataError: it is not there; the sentence says where it was looked for and what is wanted.
    """
    if path is not None and not isinstance(path, str):
        raise DataError(f"{what} has path {path!r}; a text is needed, or none to use {VARIABLE}")
    named = path or os.environ.get(VARIABLE, "")
    if not named:
        raise DataError(f"{what} is not found: neither does the recipe give its path nor {VARIABLE} a folder; wanted is {wanted}")
    found = fits(Path(named).expanduser())
    if found is None:
        source = "the recipe's path" if path else VARIABLE
        raise DataError(f"{what} is not found in {named}, {source}; wanted is {wanted}")
    return found
