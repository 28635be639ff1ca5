"""`joulegrad train`: a recipe in PyTorch, as the board computes it or in float32; checkpoints, and this machine's energy."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from algo.arithmetic import OutOfRange
from algo.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from algo.delayed_scaling import FULL_BITS
from algo.float_training import Diverged, FloatLearner
from algo.policies.method import Course, Method
from algo.trainer import Trained, Trainer
from algo.weights_file import weights_of, write_weights
from host import provenance
from host.pricing import Pricing
from host.run_folder import RunFolder, check_vacant, new_run_dir, read_record
from hw.compile import compile_step
from hw.program import write_program
from joulegrad.earlier import CHECKPOINT, Earlier, read_earlier
from joulegrad.measurement import TRACE, Measurement, measure
from joulegrad.opened import opened
from joulegrad.packing import Asked, asked, refuse_packed
from joulegrad.screen import Screen
from joulegrad.settings import SettingError, TrainSettings
from measurements.energy_model import TABLE, load_table
from measurements.processor_time import ProcessorModel
from measurements.recompute import ENERGY_TABLE, recompute

if TYPE_CHECKING:
    from algo.device_batches import DeviceBatches
    from algo.shared_batch import Share

WEIGHTS, PROGRAM, ENERGY = "weights.npz", "program.zip", "energy"
WINDOW = "training"


class TrainError(RuntimeError):
    """Training cannot start or go on; the message says why, and what is left of it."""


def run_train(settings: TrainSettings, screen: Screen) -> dict:
    """Train a recipe in PyTorch and return the run's JSON data; the run folder holds the same and more.

    Of several processes that torchrun started, which share every mini-batch, the first one leaves the run folder and speaks; the
    others keep the same one for themselves, while they run.

    Raises:
        RecipeError, DataError, ExportError, MethodError: what is asked for cannot be.
        TrainError: no such device, or training diverged; the last good checkpoint is named.
        CheckpointError, RunFolderError, SensorError, SamplerError: each with one sentence.
    """
    from algo.shared_batch import shared

    check_device(settings.device)
    with shared(settings.device) as share:
        if share.rank:
            screen.err.quiet, screen.out.quiet, screen.json = True, True, False
        if share.processes > 1 and settings.arithmetic == "float32":
            raise TrainError(f"--arithmetic float32 in {share.processes} processes: only int8 is shared, bit for bit; start one")
        if share.processes > 1 and settings.device == "cuda" and settings.sensors and settings.idle_s:
            found = f"--sensor in {share.processes} processes: while one rests for the idle power, the others' GPUs wait at work"
            raise TrainError(f"{found}; start one, or give --idle 0 for gross joules alone")
        if not share.rank:
            return _train(settings, screen, share)
        with tempfile.TemporaryDirectory() as kept:
            return _train(dataclasses.replace(settings, out=Path(kept), sensors=(), idle_s=TrainSettings.idle_s), screen, share)


def _train(settings: TrainSettings, screen: Screen, share: Share) -> dict:
    refuse_packed(settings.recipe)
    wanted = asked(settings.recipe, settings.price, settings.steps, settings.batch_size, settings.seed, settings.method)
    run = _Run(wanted, settings, share)
    path = settings.out or new_run_dir(f"{wanted.recipe.name}-{settings.device}")
    check_vacant(path)
    measuring = _measuring(settings, path)
    run.make()  # network and data: what cannot be had is refused before there is a folder
    with RunFolder(path, run.record() | {"resumed_from": str(settings.resume) if settings.resume else None}) as folder:
        screen.facts["run_dir"] = str(folder.path)
        run.begin(folder)
        notes = run.trainer.course.notes
        for note in notes:
            screen.say(note)
        folder.update(notes=list(notes))
        if settings.resume:
            screen.say(f"goes on at iteration {run.trainer.state.iteration} of {run.iterations}")
        with opened(measuring, folder, f"{ENERGY}/{TRACE}", screen) as measurement:
            start_s = time.monotonic()
            run.train(folder, screen, measurement)
            host_s = time.monotonic() - start_s
        screen.say(f"evaluating {len(run.images.test)} held-out images")
        result = (recompute(folder.path, need_trace=False) if settings.price else {"schema": 1}) | run.result(host_s)
        result |= {"config": wanted.config.name if settings.price else None, "run_dir": str(folder.path)}
        if measurement:
            result["energy_of_the_emulator"] = measurement.to_json()
        run.write_weights(folder.path / WEIGHTS)
        folder.update(result=result, versions=provenance.versions())
    return result


class _Run:
    """A run under way.

    Attributes:
        wanted, settings, method: what is asked for.
        share: this process's, of every mini-batch.
        images, trainer, iterations: the data, what trains, and its length in drawn iterations.
        executed, images_seen: what this process has done of it.
    """

    def __init__(self, wanted: Asked, settings: TrainSettings, share: Share):
        self.wanted, self.settings, self.share = wanted, settings, share
        self.method = Method.from_settings(wanted.method, wanted.recipe.methods)
        self.executed = self.images_seen = 0
        earlier = read_earlier(settings.resume, self.about()) if settings.resume else None
        if earlier and earlier.lines and settings.price:
            self._check_priced(earlier)
        self._earlier = earlier

    def _check_priced(self, earlier: Earlier) -> None:
        """Raise TrainError where the iterations that an earlier run has behind it were not priced on this configuration."""
        config, before = self.wanted.config, read_record(earlier.folder)
        if before.get("config_hash") != f"{config.config_hash:08x}":
            name = before.get("config", {}).get("name")
            priced = f"priced on {name}, another configuration" if name else "not priced"
            raise TrainError(
                f"--price {self.settings.price} with --resume {earlier.folder}: that run was {priced}, and its iterations are "
                f"part of this one: go on {f'with --price {name}' if name else 'without --price'}, or start afresh"
            )

    def about(self) -> dict:
        """What a checkpoint must agree on. Device and processes are not in it: CPU and GPU, one or several, compute the same."""
        return {
            "recipe": self.wanted.recipe.to_json(), "seed": self.wanted.seed, "method": self.method.to_json(),
            "arithmetic": self.settings.arithmetic,
        }  # fmt: skip

    def record(self) -> dict:
        """What run.json says from the start, once the network is made."""
        return {
            "benchmark": "train", "commit": provenance.commit(), "versions": provenance.versions(), **self.about(),
            "device": self.settings.device, "processes": self.share.processes, "graph": self.settings.graph,
            "sensors": list(self.settings.sensors), "steps": self.iterations, **self._priced_on(),
        }  # fmt: skip

    def _priced_on(self) -> dict:
        """What run.json says of the core that the run is priced on, for joulegrad recompute."""
        if not self.settings.price:
            return {}
        table, config = load_table(TABLE), self.wanted.config
        return {
            "config": dataclasses.asdict(config), "program": PROGRAM, "config_hash": f"{config.config_hash:08x}",
            "energy_assumptions": {
                "simulated": {"table": table.name, "validity": table.validity},
                "processor_time": dataclasses.asdict(ProcessorModel()),
            },
        }  # fmt: skip

    def make(self) -> None:
        """Make the network and its course, as they begin or as the checkpoint has them."""
        learner, blocks = self._float_learner() if self.settings.arithmetic == "float32" else self._emulator()
        epoch = self.wanted.recipe.batches(self.images, self.wanted.seed).per_epoch
        course = self.method.begin(self.wanted.seed, self.iterations, epoch, blocks)
        if not any(map(course.executes, range(self.iterations))):
            asked_for = f"method {self.method.name} with {self.iterations} iterations and seed {self.wanted.seed}"
            raise SettingError(f"{asked_for} drops every mini-batch: draw more iterations")
        if self._earlier:
            self._earlier.restore(course)
        self.trainer = Trainer(learner, course)

    def begin(self, folder: RunFolder) -> None:
        """Put into the folder what it has from the start: what the run is priced with, the first checkpoint, and the lines of the
        iterations that the checkpoint of an earlier run has behind it, so that this folder tells of the whole run.
        """
        self._folder, self._path = folder, folder.path / CHECKPOINT
        if self.settings.price:
            shutil.copyfile(TABLE, folder.path / ENERGY_TABLE)
            write_program(self._program, folder.path / PROGRAM)
        for line in self._earlier.lines if self._earlier else ():
            folder.append(line)
        self._save()

    def _emulator(self):
        from algo.emulator import Emulator
        from algo.graph_capture import cuda_graph

        exported, self.images = self.wanted.export()
        if self.settings.graph and (exported.step.parts or self.share.processes > 1):
            found = f"method {self.method.name} in {self.share.processes} processes"
            raise TrainError(
                f"--graph with {found}: blocks that samples skip, and sums that processes share, are not recorded; leave it out"
            )
        self.iterations = self.wanted.recipe.iterations(self.images)
        tensors, state = exported.tensors, exported.state
        if self._earlier:
            tensors, state = self._earlier.checkpoint.tensors, self._earlier.state()
        self._step = exported.step
        if self.settings.price:
            self._program = compile_step(exported.step, self.wanted.config, exported.tensors, exported.state)
            self._pricing = Pricing(self._program, self.wanted.config)
        record = cuda_graph if self.settings.graph else None
        emulator = Emulator(exported.step, tensors, state, self.settings.device, share=self.share, record=record)
        return emulator, exported.step.gated_blocks

    def _float_learner(self):
        if self.method.update != "sgd" or self.method.gated or self.method.gradient_bits > FULL_BITS[1]:
            raise TrainError(f"method {self.method.name} exists for the integer step only: leave --arithmetic float32 out")
        recipe, seed = self.wanted.recipe, self.wanted.seed
        self.images = recipe.load_data(seed)
        self.iterations = recipe.iterations(self.images)
        learner = FloatLearner(
            recipe.make_model(seed), self.images.exponent, recipe.sgd_for(self.iterations), recipe.batch, self.settings.device
        )
        if self._earlier:
            learner.restore(self._earlier.checkpoint.tensors, self._earlier.checkpoint.state)
        return learner, ()

    def train(self, folder: RunFolder, screen: Screen, measurement: Measurement | None) -> None:
        """Execute what is left of the run; a checkpoint after every so many iterations, and at its end."""
        every = self.settings.evaluate_every
        draw = self._batches(screen).draw
        window = measurement.window(WINDOW) if measurement else contextlib.nullcontext()
        with window as opened, screen.progress("iteration", self.iterations - self.trainer.state.iteration) as step:
            for trained in self._guarded(self.trainer.train(draw)):
                line = self._line(trained)
                if every and (trained.decision.iteration + 1) % every == 0:
                    line["accuracy"] = self.trainer.evaluate(self.images.test, self.images.test_labels)
                folder.append(line)
                self.executed += 1
                self.images_seen += trained.images
                if opened:
                    opened.iterations = self.executed
                if self.executed % self.settings.checkpoint_every == 0:
                    self._save()
                step(f"loss {trained.loss.loss:.4f}")
        self._save()

    def _batches(self, screen: Screen) -> DeviceBatches:
        from algo.device_batches import DeviceBatches

        found = DeviceBatches(self.wanted.recipe.batches(self.images, self.wanted.seed), self.settings.device)
        if not found.resident:
            size = f"{self.images.train.nbytes / 2**30:.1f} GiB of training images"
            screen.say(f"{size} are more than half of the GPU's free memory: each mini-batch is copied there")
        return found

    def _guarded(self, iterations: Iterator[Trained]) -> Iterator[Trained]:
        try:
            yield from iterations
        except (OutOfRange, Diverged) as error:
            raise self._stopped(f"in iteration {self.trainer.state.iteration}: {error}") from None

    def _stopped(self, when_and_why: str) -> TrainError:
        """Return the error of a run that diverged, once an earlier checkpoint is there."""
        kept = read_checkpoint(self._path).state["iteration"]
        return TrainError(
            f"training stopped {when_and_why}; the last good checkpoint, before iteration {kept}, is {self._path}"
        )

    def _line(self, trained: Trained) -> dict:
        """Return an iteration's line for the run folder."""
        decided = dataclasses.asdict(trained.decision)
        line = {
            "iteration": trained.decision.iteration, "loss": trained.loss.loss, "correct": trained.loss.correct,
            "images": trained.images,
            "decision": {name: value for name, value in decided.items() if name not in ("iteration", "execute")},
        }  # fmt: skip
        route = getattr(self.trainer.emulator, "route", None)
        decisions = route.decisions() if route else np.zeros((0, 0), bool)
        if trained.decision.bits != FULL_BITS:
            line["bits"] = list(trained.decision.bits)
        if len(decisions):
            line["gates"] = ["".join("01"[one] for one in block) for block in decisions.astype(int)]
        if self.settings.price:
            gates = self.trainer.gates
            gate_work = gates.processor_work() if gates else (0, 0, 0, 0)
            began, settled, course = self.trainer.began, self.trainer.settled, self.trainer.course
            later = range(trained.decision.iteration + 1, self.iterations)
            following = next((number for number in later if course.executes(number)), None)
            priced = self._pricing.iteration(
                began, trained.decision, trained.images, decisions, gate_work, settled, course.executed_count == 1, following
            )
            line |= {
                "counters": priced.counters, "activity": {}, "predicted_cycles": priced.cycles,
                "processor": dataclasses.asdict(priced.processor),
            }  # fmt: skip
            if len(decisions):
                line["images_by_segment"] = priced.images
        return line

    def _save(self) -> None:
        """Replace the checkpoint. Raises TrainError where a weight is no number any more: the one before stays."""
        trainer, tensors = self.trainer, self.trainer.tensors()
        spoilt = next((name for name, value in tensors.items() if not np.isfinite(value).all()), None)
        if spoilt:
            before = f"before iteration {trainer.state.iteration}"
            raise self._stopped(f"{before}: {spoilt} holds a number that is not finite; a lower learning rate may help")
        checkpoint = Checkpoint(self.about(), trainer.state.to_json(), tensors, trainer.course.state())
        self._folder.sync()
        write_checkpoint(self._path, checkpoint)

    def write_weights(self, path: Path) -> None:
        """Keep the trained weights under the module's names, for a recipe that starts from them."""
        if self.settings.arithmetic == "float32":
            found = {name: value for name, value in self.trainer.tensors().items() if value.dtype.kind == "f"}
            write_weights(path, {name: value for name, value in found.items() if not name.endswith(".momentum")})
        else:
            write_weights(path, weights_of(self._step, self.trainer.tensors(), self.trainer.state.exponents))

    def result(self, host_s: float) -> dict:
        """What was learned, and how long it took on this machine."""
        course: Course = self.trainer.course
        return {
            "benchmark": "train", "recipe": self.wanted.recipe.name, "data": self.images.name,
            "method": self.method.name, "arithmetic": self.settings.arithmetic, "device": self.settings.device,
            "seed": self.wanted.seed, "batch_size": self.wanted.recipe.batch, "iterations_drawn": self.iterations,
            "iterations_executed": course.executed_count, "iterations_here": self.executed, "images_here": self.images_seen,
            "host_s": host_s, "test_images": len(self.images.test),
            "accuracy": self.trainer.evaluate(self.images.test, self.images.test_labels),
        }  # fmt: skip


def check_device(device: str) -> None:
    """Raise TrainError where there is no such device here, or not one for each of the processes that torchrun started."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        raise TrainError(f"--device cuda: PyTorch {torch.__version__} finds no CUDA device here; use --device cpu")
    processes = os.environ.get("WORLD_SIZE", "1")
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if processes != "1" and missing:
        found = f"WORLD_SIZE is {processes} and {', '.join(missing)} not set"
        raise TrainError(f"{found}: start the processes with torchrun, or unset WORLD_SIZE for one")
    place = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda" and place >= torch.cuda.device_count():
        found = f"process {place} of this machine finds {torch.cuda.device_count()} GPUs"
        raise TrainError(f"--device cuda: {found}, numbered from 0, and each process needs its own; start fewer processes")


def _measuring(settings: TrainSettings, folder: Path) -> contextlib.AbstractContextManager[Measurement | None]:
    """Return what measures this machine while it trains: the energy of the emulator, in a folder of its own within the run's."""
    if not settings.sensors:
        return contextlib.nullcontext()
    said = "this machine, which trains in PyTorch: the energy of the emulator, not of an accelerator"
    return measure(settings.sensors, idle=settings.idle_s, out=folder / ENERGY, board=said)
