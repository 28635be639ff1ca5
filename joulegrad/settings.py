"""What the commands are asked for: frozen settings that check themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

KERNELS = ("forward", "grad_input", "grad_weight", "predictor")
DEVICES = ("cpu", "cuda")
ARITHMETICS = ("int8", "float32")
NUMBER_BITS = 32
"""Of an iteration's number and of a seed, which the hash behind noise, shuffles and drops takes."""
COMPUTED = ("sim", "golden")
"""Boards that a computer computes: any number of processes may have one each."""


def board_name(url: str) -> str:
    """Return a board's URL without its options: two that differ in these alone are one board."""
    return url.partition("?")[0]


class SettingError(ValueError):
    """A setting cannot be; the message says which, what was given and what can be."""


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise SettingError(f"--{name.replace('_', '-')} {value}: it is at least {least}")


def _refuse_given(settings: object, names: tuple[str, ...], why: str) -> None:
    """Raise SettingError where one of the settings is not what it is by default, and would be taken for nothing."""
    given = next((name for name in names if getattr(settings, name) != getattr(type(settings), name)), None)
    if given:
        option = given.removesuffix("_s").replace("_", "-")
        raise SettingError(f"--{option} {getattr(settings, given)} {why}: leave it out")


@dataclass(frozen=True)
class MemoryStalls:
    """Random stalls of the simulated board's memory: `probability` of each handshake, from `seed`."""

    probability: float = 0.0
    seed: int = 1

    def __post_init__(self):
        if not 0 <= self.probability <= 0.95:
            raise SettingError(f"--stalls {self.probability}: it is a probability from 0 to 0.95")

    def options(self, board: str) -> dict:
        """Return the options for the board's driver. Raises SettingError where the board has no such memory."""
        if not self.probability:
            return {}
        if board != "sim":
            raise SettingError(f"--stalls {self.probability} with --board {board}: only board sim has random stalls")
        return {"stall_probability": self.probability, "seed": self.seed}


@dataclass(frozen=True)
class BenchSettings:
    """One training run.

    Attributes:
        what: name or path of a recipe, or path of a PROGRAM.jg.
        board: its name.
        config: name of the configuration; None for the program's, or for z7020.
        steps: iterations; None for the recipe's own number.
        batch_size, seed: of the mini-batches; None for the recipe's own. The seed also keys weights and noise.
        out: run folder, None for a new one in runs/.
        check: compare every iteration with the PyTorch emulator, bit for bit.
        stalls: of the simulated memory.
        sensors: URLs of the power sensors; none for the board's own.
        repeats: least number of windows of repeated iterations that the sensed energy is taken from.
        relative_u: uncertainty over net energy that their length and number are planned for.
        energy_table: file for the simulated energy, None for the project's own.
        idle_s: shortest rest before, between and behind the windows.
        measuring_s: what the windows and their rests may take together where time is real.
        method: training method; None for plain training, or the one that a PROGRAM.jg was exported with.
        resume: run folder or checkpoint to go on from; None starts afresh.
        checkpoint_every: executed iterations between checkpoints.
    """

    what: str
    board: str
    config: str | None
    steps: int | None
    batch_size: int | None
    seed: int | None
    out: Path | None
    check: bool
    stalls: MemoryStalls
    sensors: tuple[str, ...] = ()
    repeats: int = 5
    relative_u: float = 0.02
    energy_table: Path | None = None
    idle_s: float = 10.0
    measuring_s: float = 600.0
    method: str | None = None
    resume: Path | None = None
    checkpoint_every: int = 100

    def __post_init__(self):
        _check_run(self.steps, self.batch_size, self.seed)
        _at_least("repeats", self.repeats, 2)
        _at_least("checkpoint_every", self.checkpoint_every, 1)
        if not 0 < self.relative_u < 1:
            raise SettingError(f"--relative-u {self.relative_u}: it is a share of the energy, above 0 and below 1")
        for name in ("idle_s", "measuring_s"):
            if not 0 < getattr(self, name) <= 86400:
                raise SettingError(f"--{name[:-2]} {getattr(self, name)}: it is a time in seconds, above 0 and at most a day")


    def check_watched(self, watched: bool, virtual: bool) -> None:
        """Raise SettingError for a setting of the windows that has no effect: nothing watches, or time costs nothing."""
        if not watched:
            why = f"with --board {self.board} and no --sensor has no effect"
            _refuse_given(self, ("repeats", "relative_u", "idle_s", "measuring_s"), why)
        if virtual:
            _refuse_given(self, ("measuring_s",), f"with --board {self.board} has no effect, where time is virtual")


@dataclass(frozen=True)
class ExportSettings:
    """A recipe to be packed; attributes as of BenchSettings, and `out`, the file."""

    recipe: str
    out: Path
    config: str
    steps: int | None = None
    batch_size: int | None = None
    seed: int | None = None
    method: str | None = None

    def __post_init__(self):
        _check_run(self.steps, self.batch_size, self.seed)


@dataclass(frozen=True)
class TrainSettings:
    """One training run in PyTorch.

    Attributes:
        recipe, method, steps, batch_size, seed, out: as of BenchSettings.
        device: of DEVICES.
        arithmetic: of ARITHMETICS; "int8" is the board's.
        resume: run folder or checkpoint to go on from; None starts afresh.
        checkpoint_every: executed iterations between checkpoints.
        evaluate_every: drawn iterations between tests; 0 tests at the end only.
        price: configuration of the core whose cycles and simulated joules are worked out beside; None for none.
        sensors: URLs of this machine's power sensors.
        idle_s: rest before and after, for its idle power.
        graph: whether a GPU records segments of the step once and replays them.
    """

    recipe: str
    method: str | None = None
    device: str = "cpu"
    arithmetic: str = "int8"
    steps: int | None = None
    batch_size: int | None = None
    seed: int | None = None
    out: Path | None = None
    resume: Path | None = None
    checkpoint_every: int = 100
    evaluate_every: int = 0
    price: str | None = None
    sensors: tuple[str, ...] = ()
    idle_s: float = 10.0
    graph: bool = False

    def __post_init__(self):
        _check_run(self.steps, self.batch_size, self.seed)
        if self.graph and (self.device, self.arithmetic) != ("cuda", "int8"):
            raise SettingError(f"--graph with --device {self.device} and {self.arithmetic}: it is for int8 training on cuda")
        if self.price and self.arithmetic != "int8":
            raise SettingError(f"--price {self.price} with --arithmetic {self.arithmetic}: a core computes int8 only")
        _at_least("checkpoint_every", self.checkpoint_every, 1)
        _at_least("evaluate_every", self.evaluate_every, 0)
        for name, known in (("device", DEVICES), ("arithmetic", ARITHMETICS)):
            if getattr(self, name) not in known:
                raise SettingError(f"--{name} {getattr(self, name)}: there are {', '.join(known)}")
        if not 0 <= self.idle_s <= 86400:
            raise SettingError(f"--idle {self.idle_s}: it is a time in seconds, from 0 to a day")
        if not self.sensors:
            _refuse_given(self, ("idle_s",), "without --sensor has no effect")


@dataclass(frozen=True)
class MethodsSettings:
    """Methods on the simulated board, against plain training.

    Attributes:
        recipe: its name or path.
        config: name of the configuration.
        methods: names; none for the parts of e2train and itself.
        steps, batch_size, seed: in place of the recipe's own.
        energy_table: file for simulated joules, None for the project's own, whose U is not known.
        out: folder, None for a new one in runs/.
    """

    recipe: str
    config: str = "z7020"
    methods: tuple[str, ...] = ()
    steps: int | None = None
    batch_size: int | None = None
    seed: int | None = None
    energy_table: Path | None = None
    out: Path | None = None

    def __post_init__(self):
        _check_run(self.steps, self.batch_size, self.seed)
        if "plain" in self.methods:
            raise SettingError("--method plain: plain training is what every method is compared with, and runs anyway")
        object.__setattr__(self, "methods", self.methods or ("smd", "psg_abstain", "swa", "e2train"))


@dataclass(frozen=True)
class ExperimentSettings:
    """An experiment.

    Attributes:
        experiment: its name or path; recipe, config, seeds, steps: in place of its own.
        runs: names of those wanted; none for all.
        device: of DEVICES.
        workers: processes on this machine; scheduler: address of a Dask scheduler in their place.
        out: folder, None for a new one in runs/.
        sensors: URLs of this machine's power sensors, which watch it train; with boards, of what watches them: any number for
            one board, one for each of several, in their order.
        boards: URLs of the boards that train in place of PyTorch, a worker each; all runs of a seed are on one of them.
    """

    experiment: str
    recipe: str | None = None
    config: str | None = None
    seeds: int | None = None
    steps: int | None = None
    runs: tuple[str, ...] = ()
    device: str = "cpu"
    workers: int = 1
    scheduler: str | None = None
    out: Path | None = None
    sensors: tuple[str, ...] = ()
    boards: tuple[str, ...] = ()

    def __post_init__(self):
        if self.boards:
            self._check_boards()
        elif self.sensors and (self.workers > 1 or self.scheduler):
            raise SettingError("--sensor with several workers: each measures the others; leave --workers and --scheduler out")
        if self.scheduler is not None and self.workers > 1:
            raise SettingError(f"--workers {self.workers} with --scheduler {self.scheduler}: it has its own; leave --workers out")
        if self.scheduler == "":
            raise SettingError("--scheduler '': an address is such as tcp://host:8786")
        if self.steps is not None:
            _check_steps(self.steps, 2)
        for name, value, least in (("seeds", self.seeds, 1), ("workers", self.workers, 1)):
            if value is not None:
                _at_least(name, value, least)
        if self.device not in DEVICES:
            raise SettingError(f"--device {self.device}: there are {', '.join(DEVICES)}")

    def _check_boards(self) -> None:
        names = [board_name(url) for url in self.boards]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise SettingError(f"--board {twice} is given twice: it has one worker; computed ones have --workers")
        if self.sensors and "golden" in names:
            found = f"--sensor {self.sensors[0]} with --board golden"
            raise SettingError(f"{found}: it would measure the computer that interprets, not a board; leave it out")
        real = next((url for url in self.boards if url not in COMPUTED), None)
        if self.workers > 1 and (real or len(self.boards) > 1):
            found = real or self.boards[0]
            raise SettingError(f"--workers {self.workers} with --board {found}: each board has one worker; leave --workers out")
        if len(self.boards) > 1 and len(self.sensors) not in (0, len(self.boards)):
            raise SettingError(
                f"{len(self.sensors)} --sensor with {len(self.boards)} --board: each needs its own, in the same order, or none"
            )

    def sensors_of(self, board: str) -> tuple[str, ...]:
        """Return the URLs of what watches one of the boards."""
        if len(self.boards) == 1 or not self.sensors:
            return self.sensors
        return (self.sensors[self.boards.index(board)],)


@dataclass(frozen=True)
class KernelSettings:
    """One product on random operands.

    Attributes:
        kind: of KERNELS.
        n, c, k, h, w, r, stride, pad: images, input channels, output channels, input height and width, kernel side,
            stride, zeros around the input.
    """

    kind: str
    board: str
    config: str
    n: int
    c: int
    k: int
    h: int
    w: int
    r: int
    stride: int
    pad: int
    seed: int
    stalls: MemoryStalls

    def __post_init__(self):
        if self.kind not in KERNELS:
            raise SettingError(f"kernel {self.kind!r}: there are {', '.join(KERNELS)}")
        for name in ("n", "c", "k", "h", "w", "r", "stride"):
            _at_least(name, getattr(self, name), 1)
        _at_least("pad", self.pad, 0)
        _check_seed(self.seed)
        if self.r > min(self.h, self.w) + 2 * self.pad:
            raise SettingError(f"--r {self.r}: that kernel does not fit an input of {self.h} x {self.w} with pad {self.pad}")

    @property
    def out_size(self) -> tuple[int, int]:
        """Height and width of the forward product's result."""
        return tuple((side + 2 * self.pad - self.r) // self.stride + 1 for side in (self.h, self.w))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the product, padding taps counted."""
        oh, ow = self.out_size
        return self.n * self.k * self.c * oh * ow * self.r * self.r


@dataclass(frozen=True)
class SweepSettings:
    """Workloads for a comparison.

    Attributes:
        board, config: names of board and configuration.
        repeats: runs of each workload, with other operands.
        seed: of the operands.
        out: folder to make, None for a new one in runs/.
        families: of the workloads; none for all.
        sensors: URLs of the power sensors; none for the board's own.
        windows: windows of repeated work that a run's energy is taken from.
        jobs: workloads simulated at once.
        energy_table: file for the simulated energy, None for the project's own.
        shuffle_toggles: a control: every run draws power for another run's activity, while its record keeps its own.
    """

    board: str = "sim"
    config: str = "z7020"
    repeats: int = 3
    seed: int = 0
    out: Path | None = None
    families: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    windows: int = 3
    jobs: int = 2
    energy_table: Path | None = None
    shuffle_toggles: bool = False

    def __post_init__(self):
        _at_least("repeats", self.repeats, 1)
        _at_least("windows", self.windows, 2)
        _at_least("jobs", self.jobs, 1)
        _check_seed(self.seed)


def _check_run(steps: int | None, batch_size: int | None, seed: int | None) -> None:
    if steps is not None:
        _check_steps(steps, 1)
    if batch_size is not None:
        _at_least("batch_size", batch_size, 2)
    if seed is not None:
        _check_seed(seed)


def _check_steps(steps: int, least: int) -> None:
    _at_least("steps", steps, least)
    if steps > 1 << NUMBER_BITS:
        raise SettingError(f"--steps {steps}: it is at most 2^{NUMBER_BITS}")


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 1 << NUMBER_BITS:
        raise SettingError(f"--seed {seed}: it is 0 to 2^{NUMBER_BITS} - 1")
