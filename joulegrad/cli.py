"""The command line: one file cli_<group>.py for each group of commands. Heavy parts are imported when needed."""

from __future__ import annotations

import os
import sys
from enum import Enum
from typing import Annotated

import typer

import joulegrad
from joulegrad import cli_calibrate as cli_calibrate  # joins the group `sensors`
from joulegrad import errors
from joulegrad.cli_bench import bench_app
from joulegrad.cli_bitstream import bitstream
from joulegrad.cli_boards import boards
from joulegrad.cli_compare import compare
from joulegrad.cli_experiments import experiments
from joulegrad.cli_export import export
from joulegrad.cli_ledger import ledger
from joulegrad.cli_measure import measure
from joulegrad.cli_methods import bench_methods
from joulegrad.cli_package import deploy, package
from joulegrad.cli_recompute import recompute
from joulegrad.cli_report import report
from joulegrad.cli_sensors import sensors_app
from joulegrad.cli_sweep import bench_sweep
from joulegrad.cli_trace import trace_app
from joulegrad.cli_train import train
from joulegrad.command import BoardOption, ConfigOption, JsonOption, SeedOption, StallsOption, command
from joulegrad.screen import Screen
from joulegrad.settings import KernelSettings, MemoryStalls

app = typer.Typer(
    name="joulegrad", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Train convolutional networks on an FPGA, simulated here cycle by cycle, and know what every iteration costs in joules.",
)


def _version(asked: bool) -> None:
    if asked:
        from host.provenance import commit

        print(f"joulegrad {joulegrad.__version__}, commit {commit()}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say version and commit, and exit.")
    ] = False,
) -> None:
    """The command itself; its help is the app's."""


app.add_typer(bench_app, name="bench")
app.add_typer(sensors_app, name="sensors")
app.add_typer(trace_app, name="trace")


class Kernel(str, Enum):
    """The three products of a convolution, and the last one from a predictor's bits."""

    forward = "forward"
    grad_input = "grad_input"
    grad_weight = "grad_weight"
    predictor = "predictor"


@bench_app.command("speed")
def bench_speed(
    config: ConfigOption = "z7020",
    as_json: JsonOption = False,
) -> None:
    """Time the simulator, and show shares of the array's peak.

    Which share do whole training iterations reach, and what is lost to what? Networks: the digits network at batch 32 and
    ResNet-8 on 32 x 32 images at batch 8.
    """
    with command(as_json) as screen:
        from joulegrad.speed import run_speed
        from joulegrad.tables import show_speed

        result = run_speed(config, screen)
        if not as_json:
            show_speed(result, screen)
        screen.result(result)


@app.command("kernel")
def kernel(
    kind: Annotated[Kernel, typer.Argument(
        help="Which product: x * W, g * W^T, x^T * g, or x^T * g of 4 bits each.", show_default=False)],
    board: BoardOption = "sim",
    config: ConfigOption = "z7020",
    n: Annotated[int, typer.Option("--n", help="Images.")] = 4,
    c: Annotated[int, typer.Option("--c", help="Input channels.")] = 64,
    k: Annotated[int, typer.Option("--k", help="Output channels.")] = 64,
    h: Annotated[int, typer.Option("--h", help="Height of the input.")] = 16,
    w: Annotated[int, typer.Option("--w", help="Width of the input.")] = 16,
    r: Annotated[int, typer.Option("--r", help="Side of the kernel, r x r.")] = 3,
    stride: Annotated[int, typer.Option("--stride", help="Stride of the forward convolution.")] = 1,
    pad: Annotated[int, typer.Option("--pad", help="Zeros around the input.")] = 1,
    seed: SeedOption = 0,
    stalls: StallsOption = 0.0,
    as_json: JsonOption = False,
) -> None:
    """Run one product on random operands, and check it.

    Is it exact, how many cycles does it take, and which share of the array's peak is that?

    Example: joulegrad kernel grad_weight --n 4 --c 64 --k 64 --h 16 --w 16 --r 3 --pad 1
    """
    with command(as_json) as screen:
        from joulegrad import kernel as one
        from joulegrad.tables import show_kernel

        settings = KernelSettings(kind.value, board, config, n, c, k, h, w, r, stride, pad, seed, MemoryStalls(stalls, seed + 1))
        result = one.run(settings)
        if not as_json:
            show_kernel(result, screen)
        screen.result(result)
        if not result["exact"]:
            screen.fail(f"{kind.value} is wrong: {result['difference']}")
            raise errors.Exit(errors.FAILED)
        if not result["counters_exact"]:
            screen.fail(f"{kind.value} did not count what was predicted: {result['counter_difference']}")
            raise errors.Exit(errors.FAILED)


app.command("bitstream")(bitstream)
app.command("boards")(boards)
app.command("deploy")(deploy)
app.command("export")(export)
app.command("package")(package)
app.command("train")(train)
app.command("experiments")(experiments)
app.command("ledger")(ledger)
app.command("measure")(measure)
app.command("recompute")(recompute)
app.command("report")(report)
app.command("compare")(compare)
bench_app.command("methods")(bench_methods)
bench_app.command("sweep")(bench_sweep)


def main() -> None:
    """Entry point of the command `joulegrad`. With --json an option that does not parse is an object, too."""
    _open_streams()
    own = sys.argv[:sys.argv.index("--")] if "--" in sys.argv else sys.argv  # what follows is a command to be measured
    try:
        code = _answered(as_json="--json" in own)
    finally:
        errors.leave_streams()
    sys.exit(code)


def _answered(as_json: bool) -> int:
    """Run the command and return its exit code, or raise it as SystemExit."""
    try:
        try:
            return app(standalone_mode=not as_json, prog_name="joulegrad")
        finally:
            sys.stdout.flush()  # help and version, which are still on their way, may find a full disk
    except BrokenPipeError:  # who reads the output has closed it and wants no message
        return errors.FAILED
    except OSError as error:
        Screen(as_json).fail(errors.sentence(error))
        return errors.FAILED
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        Screen(as_json=True).fail(errors.sentence(error.format_message()))
        return error.exit_code


def _open_streams() -> None:
    """Put /dev/null where a standard stream was closed at the start: the first file that is opened would take its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))


if __name__ == "__main__":
    main()
