"""Waiting for the core on a board that PYNQ drives: a UIO device to sleep on, with the AXI interrupt controller before it; or
polling, where there is none.

pynq.Interrupt waits in asyncio's loop, which cannot be used where a loop runs already, as in a notebook. So only what PYNQ knows
of the wiring is taken from it, and the device is waited on directly.
"""

from __future__ import annotations

import os
import select

from host.pynq_device import error_text
from host.segment_watch import Poll

PIN = "joulegrad_0/irq"
"""The core's interrupt in the block design."""

CONTROLLER_BYTES = 0x20
ACKNOWLEDGE, SET_ENABLE, CLEAR_ENABLE, MASTER = 0x0C, 0x10, 0x14, 0x1C
"""Registers of the AXI interrupt controller (AMD PG099)."""

LOOK_S = 0.5
"""The core is looked at so often whatever the interrupt says."""

FIRST_POLL_S, LONGEST_POLL_S = 0.0002, 0.005
"""Pauses without an interrupt."""


class NoInterrupt(Exception):
    """There is no interrupt to wait on; the message says why."""


class Interrupt:
    """An interrupt to wait on.

    Attributes:
        said: what is waited on, for people.
    """

    def __init__(self, path: str, controller, index: int, said: str):
        """Open the UIO device.

        Args:
            path: of the device file.
            controller: pynq.MMIO of the interrupt controller, None where the pin goes to the processor itself.
            index: of the pin at the controller.

        Raises:
            NoInterrupt: the device cannot be opened.
        """
        try:
            self._file = os.open(path, os.O_RDWR | os.O_NOCTTY)
        except OSError as error:
            raise NoInterrupt(f"{path} cannot be opened: {error.strerror}") from None
        self._controller, self._mask, self.said = controller, 1 << index, said

    def begin(self) -> None:
        """A segment has been started."""

    def pause(self, limit_s: float) -> None:
        """Sleep until the interrupt, at most `limit_s`. Now and then one comes that is of the past."""
        if self._controller is not None:
            self._controller.write(ACKNOWLEDGE, self._mask)
            self._controller.write(SET_ENABLE, self._mask)
            self._controller.write(MASTER, 3)
        os.write(self._file, (1).to_bytes(4, "little"))
        if select.select([self._file], [], [], max(0.0, min(limit_s, LOOK_S)))[0]:
            os.read(self._file, 4)
            if self._controller is not None:
                self._controller.write(CLEAR_ENABLE, self._mask)

    def close(self) -> None:
        """Free the device."""
        if self._controller is not None:
            self._controller.write(CLEAR_ENABLE, self._mask)
        os.close(self._file)


class Polling(Poll):
    """Waits without an interrupt. `said` says why there is none."""

    def __init__(self, why: str):
        super().__init__(FIRST_POLL_S, LONGEST_POLL_S)
        self.said = f"polls every {FIRST_POLL_S * 1e3:g} to {LONGEST_POLL_S * 1e3:g} ms: {why}"


def find(pynq, overlay, device) -> Interrupt | Polling:
    """Return what waits for the core of a loaded overlay: its interrupt, or where there is none, polling."""
    try:
        return _interrupt(pynq, overlay, device)
    except NoInterrupt as error:
        return Polling(str(error))
    except Exception as error:  # there is no common class of what PYNQ raises, and a core can be waited for without
        return Polling(f"PYNQ cannot tell where the interrupt is: {error_text(error)}")


def _interrupt(pynq, overlay, device) -> Interrupt:
    if device.has_capability("REMOTE"):
        raise NoInterrupt("PYNQ hands no interrupts over a network")
    pin = getattr(overlay, "interrupt_pins", {}).get(PIN)
    if pin is None:
        raise NoInterrupt(f"the bitstream's description names no interrupt {PIN}")
    name, controller = pin.get("controller", ""), None
    if name:
        pin, index = overlay.interrupt_controllers.get(name, {}), pin["index"]
        controller = pynq.MMIO(overlay.ip_dict[name]["phys_addr"], CONTROLLER_BYTES, device=device)
    number = pin.get("raw_irq")
    from pynq.interrupt import get_uio_irq

    path = None if number is None else get_uio_irq(number)
    if path is None:
        raise NoInterrupt(f"no UIO device for interrupt {number}: this image's device tree has none")
    return Interrupt(path, controller, index if name else 0, f"interrupt {number} ({path})")
