"""A measurement for people: one row per window and sensor, then why and of what."""

from __future__ import annotations

from joulegrad.screen import Screen, table


def show_measured(result: dict, screen: Screen) -> None:
    """Print the windows' energies with uncertainty and verdict, warnings once each, and where the raw data are."""
    made = table("energy by window (U at 95 %)", ["window, sensor, label"],
                 ["s", "gross J", "above idle J", "per iteration J", "mean W"])  # fmt: skip
    for one in result["windows"]:
        window, each = one["window"], one["per_iteration"]
        per = each["net"] or each["gross"]
        number = f" {window['number']}" if window["number"] else ""
        made.add_row(
            f"{window['name']}{number}, {one['sensor']['url'].partition('?')[0]}, {one['label']}", f"{window['time_s']:.3f}",
            _joules(one["gross"]), _joules(one["net"]), _joules(per), f"{one['gross']['value'] / window['time_s']:.4f}",
        )  # fmt: skip
    screen.out.print(made)
    for sentence in dict.fromkeys(_sentences(result)):
        screen.out.print(f"  {sentence}", markup=False)
    screen.out.print(f"raw trace and record: {result['run_dir']}", markup=False)


def _joules(quantity: dict | None) -> str:
    """Return value and U with as many digits as U allows."""
    if quantity is None:
        return "-"
    value, u95 = quantity["value"], quantity["u95"]
    return f"{value:.5g} (no U)" if u95 is None else f"{value:.5g} +- {u95:.2g}"


def _sentences(result: dict) -> list[str]:
    said = []
    for one in result["windows"]:
        for kind, name in (("gross", "gross"), ("net", "above idle")):
            quantity = one[kind]
            if quantity is None:
                continue
            bound = one["upper_bound_j"][kind]
            below = f", below {bound:.4g} J" if bound is not None else ""
            said.append(f"{one['window']['name']}, {name}: {quantity['verdict']}{below}; {quantity['scope']}")
        said += [f"note: {warning}" for warning in one["warnings"]]
    return said + [f"missing: {sentence}" for sentence in result["missing"]]
