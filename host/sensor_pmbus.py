"""pmbus: the rails that a board measures itself, by their names on the schematic, through the files of hwmon.

"pmbus", "pmbus?board=ZCU104&rails=12V,INT". Options: board=, rails=, channels=power|all, power=chip|vi, shunt_limit=,
gain_limit=, refresh_s=, period_s=, off_v=, through=hwmon|pynq, root=, device_tree= (instead of /sys/class/hwmon and
/proc/device-tree).
"""

from __future__ import annotations

import os

from host import hwmon_chip, pynq_rails
from host.hwmon_chip import HwmonChip, RailFiles
from host.hwmon_rail import OFF_V, RailAbsent, RailSettings, open_rail
from host.polled_sensor import PolledSensor, choice, number
from host.rail_map import DEVICE_TREE, Rail, RailMap, board_text, candidates, rail_map, refuse_remote
from host.sensor import Found, SensorError
from host.sensor_hwmon import PMBUS_CACHE_S, pmbus_cache_s

PERIOD_S = 0.05


class Driver(PolledSensor):
    """All rails of a board, read one after the other by one reader."""

    def __init__(
        self,
        url: str,
        where: str,
        board: str = "",
        rails: str = "",
        channels: str = "power",
        power: str = "chip",
        shunt_limit=None,
        gain_limit=None,
        refresh_s=None,
        period_s=None,
        off_v=None,
        through: str = "hwmon",
        root: str = hwmon_chip.ROOT,
        device_tree: str = DEVICE_TREE,
    ):
        super().__init__(url)
        if where:
            raise ValueError(f"pmbus has no {where!r}: rails are chosen with rails=, the board with board=")
        self._board, self._root, self._device_tree = board, root, device_tree
        self._wanted = [name.strip() for name in rails.split(",") if name.strip()]
        self._channels = choice("channels", channels, ("power", "all"))
        self._power = choice("power", power, ("chip", "vi"))
        self._through = choice("through", through, ("hwmon", "pynq"))
        self._shunt_limit, self._gain = number("shunt_limit", shunt_limit, 0, 1), number("gain_limit", gain_limit, 0, 1)
        self._refresh_s, self._off_v = number("refresh_s", refresh_s, 1e-6), number("off_v", off_v)
        self._period_s = number("period_s", period_s, 1e-4)
        self.period_s = self._period_s or PERIOD_S
        self._claims: list[int] = []
        self._description: dict = {}

    def open(self) -> None:
        """Find the board's chips and look at its rails. Raises SensorError."""
        self.close()
        refuse_remote()
        try:
            if self._through == "pynq":
                self._open_pynq([])
            else:
                self._open_hwmon()
        except BaseException:
            self.close()
            raise
        slowest = max((channel.refresh_s for channel in self.channels if channel.refresh_s), default=None)
        fastest = min((channel.refresh_s for channel in self.channels if channel.refresh_s), default=None)
        cached = slowest == PMBUS_CACHE_S
        self.period_s = self._period_s or (PMBUS_CACHE_S / 2 if cached else fastest / 2 if fastest else PERIOD_S)

    def _open_hwmon(self) -> None:
        maps = [rail_map(self._board)] if self._board else [rail_map(name) for name in candidates(self._device_tree)]
        there = hwmon_chip.chips(self._root) if os.path.isdir(self._root) else []
        found = {entry.board: _chips_of(entry, there) for entry in maps}
        entry = max(maps, key=lambda entry: len(found[entry.board]))  # Ultra96 v1 and v2 have one name and other chips
        if not found[entry.board]:
            self._open_pynq(sorted({chip for rail in entry.rails for chip in rail.chips}))
            return
        self._check_wanted([rail.rail for rail in entry.rails])
        parts, absent = [], {}
        chips: dict[str, HwmonChip] = {}
        for rail in entry.rails:
            if self._wanted and rail.rail not in self._wanted:
                continue
            chip = found[entry.board].get(rail.rail)
            if chip is None:
                absent[rail.rail] = f"its chip ({' or '.join(rail.chips)}) is not in hwmon"
                continue
            if str(chip.path) not in chips:
                chips[str(chip.path)] = chip
                self._claims.append(chip.claim())
            try:
                parts.append(open_rail(chip, _files(chip, rail), self._settings(chip, rail)))
            except RailAbsent as error:
                absent[rail.rail] = str(error)
            except PermissionError as error:
                raise SensorError(
                    f"rail {rail.rail} may not be read: {error.filename} needs other permissions, or run as root"
                ) from None
        if not parts:
            raise SensorError(
                f"no rail of {entry.board} can be used: " + "; ".join(f"{name}: {why}" for name, why in absent.items())
            )
        self._opened(parts)
        self._description = {
            "board": entry.board,
            "device_tree": board_text(self._device_tree),
            "map": entry.source,
            "not_used": absent,
            "kernel": hwmon_chip.platform.release(),
            "rails": {part.channels[0].rail: part.notes for part in parts},
        }

    def _settings(self, chip: HwmonChip, rail: Rail) -> RailSettings:
        return RailSettings(
            name=rail.rail,
            scope=rail.scope,
            part_of=rail.part_of,
            nominal_v=rail.volts,
            channels=self._channels,
            power=self._power,
            shunt_ohm=None if chip.shunt_ohm else rail.shunt_ohm,
            shunt_limit=self._shunt_limit,
            gain=self._gain,
            refresh_s=self._refresh_s or pmbus_cache_s(chip),
            off_v=OFF_V if self._off_v is None else self._off_v,
            volts_divisors=rail.volts_divisors,
        )

    def _open_pynq(self, sought: list[str]) -> None:
        try:
            parts = pynq_rails.open_rails(self._gain, self._refresh_s, self._parents())
        except SensorError as error:
            raise SensorError(f"{error}; sought in {self._root}: {', '.join(sought)}" if sought else str(error)) from None
        self._check_wanted([part.channels[0].rail for part in parts])
        self._opened([part for part in parts if not self._wanted or part.channels[0].rail in self._wanted])
        self._description = {"board": self._board or board_text(self._device_tree), "note": pynq_rails.NOTE}

    def _parents(self) -> dict[str, str]:
        """Return rail to the rail that contains it, as the board's map says; none where there is no map, as of cards."""
        try:
            named = [self._board] if self._board else candidates(self._device_tree)
            return {rail.rail: rail.part_of for name in named for rail in rail_map(name).rails}
        except SensorError:
            return {}

    def _check_wanted(self, there: list[str]) -> None:
        unknown = [name for name in self._wanted if name not in there]
        if unknown:
            raise SensorError(f"no rail {', '.join(unknown)} on this board: there are {', '.join(there)}")

    def close(self) -> None:
        """Give the chips back."""
        while self._claims:
            os.close(self._claims.pop())

    def describe(self) -> dict:
        """Return the board, its map, rails that are off or missing and why, and warnings of each rail."""
        return self._description


def _chips_of(entry: RailMap, there: list[HwmonChip]) -> dict[str, HwmonChip]:
    """Return rail to chip, for the rails whose chip is there. Raises SensorError where two chips could be meant."""
    found = {}
    for rail in entry.rails:
        for name in rail.chips:
            wanted, _, address = name.partition("@")
            alike = [chip for chip in there if wanted in (chip.name, chip.label) and (not address or chip.address == address)]
            if alike:
                found[rail.rail] = hwmon_chip.find(alike, name)
                break
    return found


def _files(chip: HwmonChip, rail: Rail) -> RailFiles:
    """Return the files of a rail. Raises RailAbsent where the chip has no such output."""
    files = next((files for files in chip.rails if files.page == rail.page), None)
    if files is None:
        pages = ", ".join(str(files.page) for files in chip.rails if files.page) or "none"
        raise RailAbsent(f"chip {chip.name} at {chip.device} has no output {rail.page} (there are {pages})")
    return files


def found(root: str = hwmon_chip.ROOT, device_tree: str = DEVICE_TREE) -> list[Found]:
    """Return the board's rails, or why there are none."""
    what = "a board's own power rails"
    try:
        refuse_remote()
        named = candidates(device_tree)
        there = hwmon_chip.chips(root)
        rails = max((sorted(_chips_of(rail_map(name), there)) for name in named), key=len)
    except SensorError as error:
        return [Found("pmbus", what, str(error))]
    text = board_text(device_tree)
    if not rails:
        return [
            Found(
                "pmbus",
                f"{what}: {text}",
                "none of the chips in its map is in hwmon: this kernel or image lacks their driver; "
                "pmbus?through=pynq asks PYNQ instead",
            )
        ]
    return [Found("pmbus", f"{what}: {text}, {', '.join(rails)}")]
