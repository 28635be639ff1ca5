"""The optimiser's settings as a recipe writes them: independent of the run's length, which is known with the data. No torch.

    {"lr": "1/10", "momentum": "9/10", "weight_decay": "1/10000", "warmup": 5,
     "schedule": {"kind": "milestones", "at": ["1/2", "3/4"], "factor": "1/10"}}

Schedules, in drawn iterations: "constant"; "linear" and "cosine", to zero at the run's end; "milestones", shares of the run at
which the learning rate is multiplied by the factor. They begin after the warm-up, which is at most a quarter of the run.
"""

from __future__ import annotations

from algo.fraction_text import read_fraction
from algo.sgd import Sgd

SETTINGS = ("lr", "momentum", "weight_decay", "warmup", "schedule")
_CHECKED_STEPS = 1000
SCHEDULES = {"constant": (), "linear": (), "cosine": (), "milestones": ("at", "factor")}
"""Kind of schedule to its settings."""


class SgdSettingError(ValueError):
    """A setting of the optimiser cannot be; the message says which and what can be."""


def check_sgd(settings: dict) -> None:
    """Raise SgdSettingError where the settings cannot be, whatever the run's length."""
    unknown = sorted(set(settings) - set(SETTINGS))
    if unknown:
        raise SgdSettingError(f"sgd has no {', '.join(unknown)}; its settings are {', '.join(SETTINGS)}")
    warmup = settings.get("warmup", 0)
    if type(warmup) is not int or warmup < 0:
        raise SgdSettingError(f"warmup is {warmup!r}; a number of iterations from 0 is needed")
    sgd_for(settings, max(_CHECKED_STEPS, 8 * warmup))


def sgd_for(settings: dict, iterations: int) -> Sgd:
    """Return the optimiser of a run of that many drawn iterations. Raises SgdSettingError."""
    plain = {name: settings[name] for name in ("lr", "momentum", "weight_decay") if name in settings}
    warmup = min(settings.get("warmup", 0), iterations // 4)
    try:
        return Sgd(**plain, warmup=warmup, **_schedule(settings.get("schedule", {"kind": "constant"}), iterations))
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise SgdSettingError(str(error)) from None


def _schedule(schedule: object, iterations: int) -> dict:
    """The schedule's fields of Sgd."""
    kind = schedule.get("kind") if isinstance(schedule, dict) else None
    if not isinstance(kind, str) or kind not in SCHEDULES:
        raise SgdSettingError(f"schedule is {schedule!r}; an object with a kind of {', '.join(SCHEDULES)} is needed")
    known = ("kind", *SCHEDULES[kind])
    if set(schedule) != set(known):
        raise SgdSettingError(f"schedule {kind} has {', '.join(schedule)}; it needs {', '.join(known)}")
    fields = {"schedule": kind, "steps": iterations}
    if kind == "milestones":
        if not isinstance(schedule["at"], (list, tuple)) or not schedule["at"]:
            raise SgdSettingError(f"milestones are at {schedule['at']!r}; a list of shares of the run such as 1/2 is needed")
        fields |= {"factor": schedule["factor"], "milestones": tuple(_share(one, iterations) for one in schedule["at"])}
    return fields


def _share(share: object, iterations: int) -> int:
    """The first iteration after a share of the run."""
    part = read_fraction(share)
    if not 0 < part < 1:
        raise SgdSettingError(f"a milestone is at {share!r}; it is a share of the run, above 0 and below 1")
    return -(-iterations * part.numerator // part.denominator)
