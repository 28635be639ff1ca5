"""Results for people: tables on standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from joulegrad.screen import Screen, table

if TYPE_CHECKING:
    from rich.table import Table


def show_kernel(result: dict, screen: Screen) -> None:
    """Print exactness, cycles and share of peak of a product, and where its cycles went."""
    shape = " ".join(f"{name}={result[name]}" for name in ("n", "c", "k", "h", "w", "r", "stride", "pad"))
    screen.out.print(f"{result['kernel']} on {result['board']} ({result['config']}): {shape}", markup=False)
    screen.out.print(f"  exact       {'yes' if result['exact'] else 'NO'}")
    screen.out.print(f"  macs        {result['macs']:,}")
    screen.out.print(f"  counters    {'as predicted' if result['counters_exact'] else 'NOT as predicted'}")
    if result["cycles"] is None:
        screen.out.print("  cycles      none: this board has no clock")
        return
    screen.out.print(f"  cycles      {result['cycles']:,}, predicted {result['predicted_cycles']:,}")
    of = " of int8's" if result["kernel"] == "predictor" else ""
    screen.out.print(f"  peak share  {100 * result['peak_share']:.1f} %{of}")
    screen.out.print(_losses("cycles of the array", result["counters"]))


def _losses(title: str, counters: dict[str, int]) -> Table:
    """Return what the array did in each cycle, from slots and stall counters, in per cent."""
    made = table(title, ["the array"], ["cycles", "%"])
    cycles = counters["cycles"]
    rows = {
        "works (slots)": sum(counters[f"slots_{kind}"] for kind in ("forward", "grad_input", "grad_weight", "pool")),
        "gap inside an instruction": counters["stall_array_gap"],
        "waits for the load engine": counters["stall_array_load"],
        "waits for the vector unit": counters["stall_array_vector"],
        "waits for another engine": counters["stall_array_other"],
        "has no instruction": counters["stall_array_empty"],
    }
    rows["not named"] = cycles - sum(rows.values())
    for name, value in rows.items():
        made.add_row(name, f"{value:,}", f"{100 * value / cycles:.1f}")
    return made


def show_bench(result: dict, screen: Screen) -> None:
    """Print what was learned, what it cost, and where joules and seconds went."""
    out = screen.out
    executed = result["iterations_executed"]
    title = f"{result['benchmark']} on {result['board']} ({result['config']})"
    out.print(f"{title}, {executed} iterations{_drawn(result)}", markup=False)
    out.print(f"  loss            {result['loss']:.4f} nats (last mini-batch)")
    out.print(f"  test accuracy   {100 * result['accuracy']:.2f} % of {result['test_images']} held-out images")
    if result["bit_exact"]:
        out.print("  bit exact       yes, after every iteration, against the PyTorch emulator")
        error = result["cycles_predicted_error"]
        cycles = "" if error is None else f"; predicted cycles at most {100 * error:.2f} % off"
        out.print(f"  counters        exactly as predicted{cycles}")
    if result["cycles_per_iteration"] is None:
        cycles, clock = result["predicted_cycles_per_iteration"], "predicted"
        out.print(f"  cycles          {cycles:,.0f} per iteration, predicted from the instructions: this board has no clock")
    else:
        cycles, peak, clock = result["cycles_per_iteration"], 100 * result["array_peak_share"], "on the board's clock"
        out.print(f"  cycles          {cycles:,.0f} per iteration, {peak:.1f} % of the array's peak")
    if result["time_s"] is not None:
        out.print(f"  time            {1e3 * result['time_s'] / executed:.2f} ms per iteration, {clock}")
        show_energy(result, screen)
        _shares(result["shares"], screen)
    out.print(f"  run folder      {result['run_dir']}", markup=False)
    out.print(f"  pictures        joulegrad report {result['run_dir']}", markup=False)


def _drawn(result: dict) -> str:
    """Return what a method made of the iterations drawn, "" for plain training."""
    return "" if result["method"] == "plain" else f" executed of {result['iterations_drawn']} drawn, method {result['method']}"


def show_energy(result: dict, screen: Screen) -> None:
    """Print the energies per executed iteration, with their verdicts and scopes."""
    made = table("energy per executed iteration", ["label"], ["gross mJ", "above idle mJ"])
    each = result["energy_per_executed_iteration_j"]
    for label, both in each.items():
        made.add_row(label, *(_millijoules(both[kind]) for kind in ("gross", "net")))
    screen.out.print(made)
    for label, both in each.items():
        said = {kind: quantity["verdict"] for kind, quantity in both.items() if quantity}
        alike = len(set(said.values())) == 1
        for kind in ("gross",) if alike else said:
            name = label if alike else f"{label}, {'above idle' if kind == 'net' else kind}"
            screen.out.print(f"  {name}: {said[kind]}; {both[kind]['scope']}", markup=False)


def _millijoules(quantity: dict | None) -> str:
    """Return a value in mJ, with its expanded uncertainty (95 %) where there is one; "-" where there is no value."""
    if quantity is None:
        return "-"
    value, u95 = 1e3 * quantity["value"], quantity["u95"]
    return f"{value:.3f}" if u95 is None else f"{value:.3f} +- {1e3 * u95:.3f}"


def _shares(shares: dict, screen: Screen) -> None:
    made = table("where it went, whole run", ["share"], ["simulated mJ", "% of gross", "time ms", "% of time"])
    joules, seconds = shares["simulated_j"], shares["time_s"]
    all_j, all_s = sum(joules.values()), sum(seconds.values())
    for name in joules:
        made.add_row(
            name, f"{1e3 * joules[name]:.3f}", f"{100 * joules[name] / all_j:.1f}", f"{1e3 * seconds[name]:.2f}",
            f"{100 * seconds[name] / all_s:.1f}",
        )  # fmt: skip
    screen.out.print(made)


def show_speed(result: dict, screen: Screen) -> None:
    """Print simulated cycles per second, and for each network its share of peak and the losses by name."""
    speed = result["simulator_cycles_per_s"]
    screen.out.print(f"simulator: {speed:,.0f} core cycles per second ({result['config']}, one thread)", markup=False)
    for network in result["networks"]:
        title = (
            f"{network['network']}, batch {network['batch_size']}: {network['cycles_per_iteration']:,} cycles per iteration, "
            f"{100 * network['array_peak_share']:.1f} % of peak"
        )
        screen.out.print(_losses(title, network["counters"]))
