"""Simulated against emulated or measured: a model is fitted to runs, judged on workloads it has not seen, and set beside
models that know nothing. What stood for truth is part of every result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from measurements import features
from measurements.energy_model import PROCESSOR_BYTES, PROCESSOR_S, EnergyTable, energy_shares
from measurements.error_figures import RESOLVED_BY, ErrorFigures, error_figures
from measurements.features import Feature, matrix
from measurements.fit import BOOTSTRAPS, Fit, fit, left_out
from measurements.null_models import NULL_MODELS, null_left_out
from measurements.observations import ComparisonError, Observation, check_alike
from measurements.quantities import invalid
from measurements.quantities import judged as judged_by
from measurements.table_validity import check_valid

SCHEMA = 1
LEAST_WORKLOADS = 3
CALIBRATED, COUNTERS_ONLY, UNCALIBRATED, CONTROL = (
    "calibrated", "calibrated, counters only", "uncalibrated table", "control: toggles shuffled between runs",
)  # fmt: skip
FITTED_BEFORE = "table fitted before, nothing left out"
SAID = {
    "emulated": (
        "What stood for truth is emulated: virtual rails of the simulated board, driven by counts that model 'activity' sees, "
        "too. Two models by the same authors that agree say that fit and sensor path work; they say nothing about a board."
    ),
    "measured": "What stood for truth is measured, by the sensor and in the scope named here; it says nothing about other rails.",
}
INTERVALS_SAID = f"95 %: percentiles of {BOOTSTRAPS} bootstrap draws of whole workloads, all repeats of one together"


@dataclass(frozen=True)
class Judged:
    """Predictions of one model for every run, each made without that run's workload where the model is fitted.

    Attributes:
        net_j, gross_j: (n,).
        net, gross: their error figures.
    """

    net_j: np.ndarray
    gross_j: np.ndarray
    net: ErrorFigures
    gross: ErrorFigures


@dataclass(frozen=True)
class Comparison:
    """A model fitted to runs and what it is worth.

    Attributes:
        observations: the runs.
        model: of features.MODELS.
        columns: its features, in the order of `fit`.
        fit: to all runs.
        static_w, static_u95_w: mean power that idle windows showed, and its expanded uncertainty over workloads.
        judged: name to predictions and figures; the first is the model's.
    """

    observations: list[Observation]
    model: str
    columns: tuple[Feature, ...]
    fit: Fit
    static_w: float
    static_u95_w: float
    judged: dict[str, Judged]

    @property
    def workloads(self) -> list[str]:
        """Names of the workloads, in order."""
        return list(dict.fromkeys(one.workload for one in self.observations))

    @property
    def best_null(self) -> str:
        """Name of the null model with the least mean relative error on net energy."""
        return min(NULL_MODELS, key=lambda name: _or_inf(self.judged[name].net.mape))

    def relative_u95(self, kind: str) -> float | None:
        """Return the relative expanded uncertainty of a predicted energy, "net" or "gross"; None where no run is resolved.

        It holds the scatter of predictions for workloads left out (Student's t over workloads), and the uncertainty of the
        truth itself, which all runs share in part: the sensor's gain error is in every coefficient.
        """
        from scipy.stats import t

        truth, u95 = _column(self.observations, kind)
        resolved = truth > RESOLVED_BY * u95
        if not resolved.any():
            return None
        relative = getattr(self.judged[CALIBRATED], f"{kind}_j")[resolved] / truth[resolved] - 1
        names = np.array([one.workload for one in self.observations])[resolved]
        by_workload = [relative[names == name].mean() for name in dict.fromkeys(names)]
        scatter = t.ppf(0.975, len(by_workload)) * np.sqrt(np.mean(np.square(by_workload)))
        return float(np.hypot(scatter, np.median(u95[resolved] / truth[resolved])))

    def to_json(self) -> dict:
        """Return the comparison's JSON data."""
        first = self.observations[0]
        relative = {kind: self.relative_u95(kind) for kind in ("net", "gross")}
        return {
            "schema": SCHEMA,
            "truth": first.truth,
            "said": SAID[first.truth],
            "scope": first.gross.scope,
            "idle_definition": first.idle,
            "board": first.board,
            "config": first.config.name,
            "control": first.control or None,
            "workloads": len(self.workloads),
            "families": _families(self.observations),
            "runs": len(self.observations),
            "model": self.model,
            "coefficients": [self._coefficient(i) for i in range(len(self.columns))],
            "intervals": INTERVALS_SAID,
            "static_w": {"value": self.static_w, "u95": self.static_u95_w},
            "condition_number": self.fit.condition if np.isfinite(self.fit.condition) else None,
            "unexplained_scatter": self.fit.tau,
            "relative_errors_of": f"runs whose energy exceeds {RESOLVED_BY} U",
            "left_out": "all repeats of a workload together",
            "figures": {
                kind: {name: getattr(judged, kind).to_json() for name, judged in self.judged.items()} for kind in ("net", "gross")
            },
            "best_null": self.best_null,
            "predicted_relative_u95": relative,
            "each_run": [self._run(i, one, relative) for i, one in enumerate(self.observations)],
        }

    def _coefficient(self, i: int) -> dict:
        column, scale = self.columns[i], unit_scale(self.columns[i])
        known = bool(self.fit.determined[i])
        value, low, high = (float(part[i]) * scale for part in (self.fit.coefficients, self.fit.low, self.fit.high))
        return {
            "name": column.name, "unit": column.unit, "counts": list(column.counts), "determined": known,
            "value": value if known else None, "low": low if known else None, "high": high if known else None,
        }  # fmt: skip

    def _run(self, i: int, one: Observation, relative: dict[str, float | None]) -> dict:
        scope = f"{one.gross.scope}: model fitted to the runs of other workloads"
        predicted = {}
        for kind in ("net", "gross"):
            value, share = float(getattr(self.judged[CALIBRATED], f"{kind}_j")[i]), relative[kind]
            unknown = f"no run's {kind} energy exceeds {RESOLVED_BY} U, so nothing says how good a prediction is"
            known = invalid(value, unknown, scope) if share is None else judged_by(value, share * abs(value), scope)
            predicted[kind] = known.to_json()
        return {
            "run": one.run, "workload": one.workload, "family": one.family, "time_s": one.time_s,
            one.truth: {"net": one.net.to_json(), "gross": one.gross.to_json()}, "simulated": predicted,
        }  # fmt: skip


def compare(observations: list[Observation], table: EnergyTable, model: str | None = None, seed: int = 0) -> Comparison:
    """Fit a model to runs and judge it on workloads left out, beside null models and a table that is there already.

    Args:
        table: energies that were not fitted to these runs: UNCALIBRATED, or FITTED_BEFORE where it is a fitted one.
        model: of features.MODELS; None takes "activity" where every run counts it, else "counters".
        seed: of bootstrap and control.

    Raises:
        ComparisonError: runs that do not match, too few workloads, counts that are missing.
        FitError: nothing is determined.
        EnergyTableError: the table was fitted to another board, configuration or processor model, or pays for counts that
            the runs do not have.
    """
    check_alike(observations)
    workloads = [one.workload for one in observations]
    if len(set(workloads)) < LEAST_WORKLOADS:
        raise ComparisonError(f"{len(set(workloads))} workloads: at least {LEAST_WORKLOADS} are needed to leave one out of a fit")
    if model is None:
        model = features.ACTIVITY if all(one.activity for one in observations if one.counters) else features.COUNTERS
    columns = features.features(model)
    amounts = matrix(observations, columns)
    net_j, net_u95 = _column(observations, "net")
    whole = fit(amounts, net_j, net_u95 / 2, workloads, seed)
    static_w, static_u95_w = _static(observations)
    static_j = _static_left_out(observations)
    judged = {CALIBRATED: _judge(left_out(amounts, net_j, net_u95 / 2, workloads), static_j, observations)}
    if model == features.ACTIVITY:
        counted = matrix(observations, features.features(features.COUNTERS))
        judged[COUNTERS_ONLY] = _judge(left_out(counted, net_j, net_u95 / 2, workloads), static_j, observations)
        shuffled = matrix(shuffled_activity(observations, seed), columns)
        judged[CONTROL] = _judge(left_out(shuffled, net_j, net_u95 / 2, workloads), static_j, observations)
    judged[FITTED_BEFORE if table.calibration else UNCALIBRATED] = _by_table(observations, table)
    for name, amount in NULL_MODELS.items():
        alone = np.array([amount(one) for one in observations])
        judged[name] = _judge(null_left_out(alone, net_j, net_j > RESOLVED_BY * net_u95, workloads), static_j, observations)
    return Comparison(observations, model, columns, whole, static_w, static_u95_w, judged)


def unit_scale(column: Feature) -> float:
    """Return what a coefficient in joules per amount is multiplied by for its unit: picojoules, or watts."""
    return 1.0 if column.counts == (PROCESSOR_S,) else 1e12


def shuffled_activity(observations: list[Observation], seed: int) -> list[Observation]:
    """Return the runs with the activity per cycle of another run each, for a control: such toggles say nothing."""
    from dataclasses import replace

    active = [i for i, one in enumerate(observations) if one.counters.get("cycles") and any(one.activity.values())]
    result = list(observations)
    for to, taken in zip(active, np.random.default_rng(seed).permutation(active), strict=True):
        source, scale = observations[taken], observations[to].counters["cycles"] / observations[taken].counters["cycles"]
        result[to] = replace(observations[to], activity={name: count * scale for name, count in source.activity.items()})
    return result


def _column(observations: list[Observation], kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return energies and their expanded uncertainties, (n,) each."""
    quantities = [getattr(one, kind) for one in observations]
    return np.array([q.value for q in quantities]), np.array([q.u95 for q in quantities])


def _judge(net_j: np.ndarray, static_j: np.ndarray, observations: list[Observation]) -> Judged:
    gross_j = net_j + static_j
    return Judged(net_j, gross_j, error_figures(net_j, *_column(observations, "net")),
                  error_figures(gross_j, *_column(observations, "gross")))  # fmt: skip


def _by_table(observations: list[Observation], table: EnergyTable) -> Judged:
    first = observations[0]
    check_valid(table, first.board, first.config, first.processor)
    beside = [{**one.activity, PROCESSOR_BYTES: one.processor_bytes} for one in observations]
    shares = [energy_shares(one.counters, one.config, table, one.time_s, one.processor_s, counted)
              for one, counted in zip(observations, beside, strict=True)]  # fmt: skip
    net_j = np.array([share.net for share in shares])
    return _judge(net_j, np.array([share.idle for share in shares]), observations)


def _static(observations: list[Observation]) -> tuple[float, float]:
    """Return mean idle power over workloads and its expanded uncertainty (Student's t over workloads)."""
    from scipy.stats import t

    by_workload: dict[str, list[float]] = {}
    for one in observations:
        by_workload.setdefault(one.workload, []).append(one.idle_w)
    means = np.array([np.mean(powers) for powers in by_workload.values()])
    return float(means.mean()), float(t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means)))


def _static_left_out(observations: list[Observation]) -> np.ndarray:
    """Return joules (n,) of idle power over each run's time, the power being the mean of the runs of other workloads."""
    names = np.array([one.workload for one in observations])
    idle_w = np.array([one.idle_w for one in observations])
    return np.array([one.time_s * idle_w[names != one.workload].mean() for one in observations])


def _families(observations: list[Observation]) -> dict[str, int]:
    """Return the number of workloads by family."""
    pairs = dict.fromkeys((one.family, one.workload) for one in observations)
    return {family: sum(f == family for f, _ in pairs) for family, _ in pairs}


def _or_inf(value: float | None) -> float:
    return float("inf") if value is None else value
