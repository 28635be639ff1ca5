"""What a recipe may say about where its weights start. No torch."""

from __future__ import annotations

from dataclasses import dataclass, fields

TRAINED = ("all", "head")


class StartError(ValueError):
    """A setting of the start cannot be; the message says which and what can be."""


@dataclass(frozen=True)
class Start:
    """Where the weights of a run start, and which of them it trains.

    Attributes:
        weights: path of a file, .npz of algo.weights_file or .pt of torch; "" for fresh weights.
        new_head: whether the last linear layer starts afresh, for other classes than the file's.
        train: "all" layers, or the "head", which is the last linear layer, alone: batch norm then still takes the mini-batch's
            statistics and updates the running ones.
    """

    weights: str = ""
    new_head: bool = False
    train: str = "all"

    def __post_init__(self):
        if not isinstance(self.weights, str) or not isinstance(self.new_head, bool) or self.train not in TRAINED:
            found = f"weights {self.weights!r}, new_head {self.new_head!r}, train {self.train!r}"
            raise StartError(f"start has {found}; weights is a path, new_head true or false, train {' or '.join(TRAINED)}")
        if self.new_head and not self.weights:
            raise StartError("start has new_head without weights; every layer starts afresh then")

    @staticmethod
    def from_json(data: object) -> Start:
        """Rebuild the settings. Raises StartError where the data is not such."""
        known = [one.name for one in fields(Start)]
        if not isinstance(data, dict) or not set(data) <= set(known):
            found = f"the settings {', '.join(map(str, data))}" if isinstance(data, dict) else repr(data)
            raise StartError(f"start is given as {found}; an object that may have {', '.join(known)} is needed")
        return Start(**data)
