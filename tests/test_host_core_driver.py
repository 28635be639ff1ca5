"""The control registers as a driver uses them, against registers that note every access."""

from __future__ import annotations

import pytest

from host.board import BoardError, SegmentError
from host.core_driver import BUSY, CLEAR_INTERRUPT, DONE, ERROR, SOFT_RESET, START, CoreDriver
from hw import isa

ADDRESS = {name: entry[0] for name, entry in isa.REGISTERS.items()}
COUNTERS = ADDRESS["COUNTERS"]


class Registers(dict):
    """Byte address to value; `written` lists (name, value) in order."""

    def __init__(self, **values):
        super().__init__({ADDRESS[name]: value for name, value in values.items()})
        self.written = []

    def write(self, address, value):
        assert 0 <= value < 1 << 32
        self.written.append((next(name for name, at in ADDRESS.items() if at == address), value))

    def driver(self, base=0):
        return CoreDriver(self.__getitem__, self.write, base)


def test_the_first_start_sets_everything_and_later_ones_what_changes():
    registers = Registers()
    driver = registers.driver(base=0x12_3456_7880)
    driver.start(0x140, 17)
    assert registers.written == [
        ("CTRL", CLEAR_INTERRUPT), ("BASE_LO", 0x3456_7880), ("BASE_HI", 0x12), ("IRQ_ENABLE", 1), ("SEG_ADDR", 0x140),
        ("SEG_COUNT", 17), ("CTRL", START),
    ]
    assert driver.accesses == 7
    following = [("SEG_ADDR", 0x200), ("SEG_COUNT", 3), ("CTRL", START)]
    driver.start(0x200, 3)
    assert registers.written[7:] == following and driver.accesses == 10
    driver.soft_reset()
    driver.start(0x200, 3)
    driver.forget()
    driver.start(0x200, 3)
    again = [*registers.written[:4], *following]
    assert registers.written[10:] == [("CTRL", SOFT_RESET), *again, *again]


@pytest.mark.parametrize(("status", "finished"), [(0, False), (BUSY, False), (DONE, True), (ERROR, True)])
def test_finished_is_done_or_stopped(status, finished):
    assert Registers(STATUS=status).driver().finished() is finished


def test_counters_have_64_bits_and_status_is_read_once():
    registers = Registers(STATUS=DONE)
    for i in range(len(isa.COUNTER_NAMES)):
        registers[COUNTERS + 8 * i], registers[COUNTERS + 8 * i + 4] = 100 + i, i
    driver = registers.driver()
    assert driver.outcome() == {name: 100 + i + (i << 32) for i, name in enumerate(isa.COUNTER_NAMES)}
    assert registers.written == [] and driver.accesses == 1
    assert driver.finished() and driver.outcome() and driver.accesses == 2, "finished has read it"
    driver.start(0, 1)
    registers[ADDRESS["STATUS"]] = BUSY
    with pytest.raises(BoardError, match="not done"):
        driver.outcome()
    assert driver.progress() == 100 + isa.COUNTER_NAMES.index("instructions")


@pytest.mark.parametrize("engine", [*isa.ENGINES, "fetch"])
@pytest.mark.parametrize("code", isa.ERRORS)
def test_an_error_is_named_and_the_core_reset(code, engine):
    status = ERROR | isa.ERRORS.index(code) << 4 | [*isa.ENGINES, "fetch"].index(engine) << 8
    registers = Registers(STATUS=status, ERROR_INDEX=9)
    driver = registers.driver()
    driver.start(0x80, 12)
    with pytest.raises(SegmentError, match=f"segment at 0x80 with {code} in its {engine} engine, at or before instruction 9"):
        driver.outcome()
    assert registers.written[-1] == ("CTRL", SOFT_RESET)


def test_a_number_that_has_no_name_is_shown():
    with pytest.raises(SegmentError, match=r"with unknown \(15\) in its unknown \(7\) engine"):
        Registers(STATUS=ERROR | 0xF << 4 | 7 << 8, ERROR_INDEX=0).driver().outcome()


def test_a_segment_under_way_has_no_outcome():
    with pytest.raises(BoardError, match="is not done: the status register reads 0x1"):
        Registers(STATUS=BUSY).driver().outcome()


def test_another_design_or_version_is_refused():
    registers = Registers(ID=isa.IDENTITY, VERSION=isa.VERSION, CONFIG_HASH=0x1234)
    assert registers.driver().identity().config_hash == 0x1234
    registers[ADDRESS["VERSION"]] = isa.VERSION + 1
    with pytest.raises(BoardError, match=f"interface version {isa.VERSION + 1}, this software drives version {isa.VERSION}"):
        registers.driver().identity()
    registers[ADDRESS["ID"]] = 0xFFFFFFFF
    with pytest.raises(BoardError, match="0xffffffff, not .*: this is no joulegrad core"):
        registers.driver().identity()
