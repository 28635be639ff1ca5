"""The optimiser's settings as a recipe writes them: independent of the run's length, which is known with the data. No torch.

    {"lr": "1/10", "momentum": "9/10", "weight_decay": "1/10000", "warmup": 5, "schedule": {"kind": "linear"}}

Schedules: "constant"; "linear", to zero at the run's end. After the warm-up, whose iterations are at most a quarter of the run.
"""

from __future__ import annotations

from algo.sgd import Sgd

SETTINGS = ("lr", "momentum", "weight_decay", "warmup", "schedule")
SCHEDULES = ("constant", "linear")


class SgdSettingError(ValueError):
    """A setting of the optimiser cannot be; the message says which and what can be."""


def check_sgd(settings: dict) -> None:
    """Raise SgdSettingError where the settings cannot be, whatever the run's length."""
    unknown = sorted(set(settings) - set(SETTINGS))
    if unknown:
        raise SgdSettingError(f"sgd has no {', '.join(unknown)}; its settings are {', '.join(SETTINGS)}")
    warmup = settings.get("warmup", 0)
    if isinstance(warmup, bool) or not isinstance(warmup, int) or warmup < 0:
        raise SgdSettingError(f"warmup is {warmup!r}; a number of iterations from 0 is needed")
    sgd_for(settings, max(1, 8 * warmup))


def sgd_for(settings: dict, iterations: int) -> Sgd:
    """Return the optimiser of a run of that many drawn iterations. Raises SgdSettingError."""
    schedule = settings.get("schedule", {"kind": "constant"})
    kind = schedule.get("kind") if isinstance(schedule, dict) else schedule
    if kind not in SCHEDULES or set(schedule) != {"kind"}:
        raise SgdSettingError(f"schedule is {schedule!r}; an object with a kind of {', '.join(SCHEDULES)} is needed")
    plain = {name: settings[name] for name in ("lr", "momentum", "weight_decay") if name in settings}
    warmup = min(settings.get("warmup", 0), iterations // 4)
    try:
        return Sgd(**plain, warmup=warmup, steps=iterations if kind == "linear" else 0)
    except ZeroDivisionError:
        raise SgdSettingError(f"{plain} holds a fraction with denominator 0; numbers such as 1/10 are needed") from None
    except ValueError as error:
        raise SgdSettingError(str(error)) from None
