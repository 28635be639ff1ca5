"""A serial port held by this process alone, found by its path or by the USB serial number of what is plugged in."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import termios

import serial
from serial.tools import list_ports

from host.sensor import SensorError, SensorLost

READ_BYTES = 1 << 16
WRITE_S = 5.0
"""What takes no bytes for so long is stuck; a computer that stands still for a while has this end wait as well."""


class Port:
    """An open port.

    Attributes:
        path: of the device file.
        usb_serial: of the USB device behind it, "" where there is none.
    """

    def __init__(self, where: str, baud: int, usb_serial: str = "", what: str = "meter"):
        """Open it.

        Args:
            where: path of the device file, or USB serial number.
            baud: line speed; native USB ignores it.
            usb_serial: of what must be behind it, "" for anything; plugged in elsewhere, it is opened there.
            what: is behind it, for messages.

        Raises:
            SensorError: it is not there, in use, forbidden, or no serial port.
        """
        if usb_serial and _usb_serial(where) != usb_serial:
            where = usb_serial
        self.path = found_path(where)
        self.usb_serial = _usb_serial(self.path)
        self._what = what
        try:
            self._serial = serial.Serial(self.path, baud, timeout=0, write_timeout=WRITE_S, exclusive=True)
        except (OSError, ValueError, termios.error) as error:
            raise SensorError(_why_closed(self.path, baud, error)) from None
        # The lock keeps out who asks for one; TIOCEXCL everybody. A pseudo-terminal would stay shut after a crash, since
        # its other end keeps it in being.
        if not self.path.startswith("/dev/pts/"):
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._serial.fileno(), termios.TIOCEXCL)

    def write(self, data: bytes) -> None:
        """Send bytes. Raises SensorLost."""
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException:
            raise SensorLost(f"the {self._what} at {self.path} takes no bytes any more") from None
        except (OSError, TypeError) as error:
            raise SensorLost(f"the {self._what} at {self.path} is gone: {_text(error)}") from None

    def receive(self, timeout_s: float) -> bytes:
        """Return what has arrived, after at most so many seconds; b"" for nothing. Raises SensorLost."""
        try:
            if not select.select([self._serial.fileno()], [], [], max(0.0, timeout_s))[0]:
                return b""
            return self._serial.read(READ_BYTES)
        except (OSError, TypeError, ValueError) as error:
            raise SensorLost(f"the {self._what} at {self.path} is gone: {_text(error)}") from None

    def hurry(self) -> None:
        """Ask the driver to hand bytes on at once, not after some milliseconds; where it cannot, nothing changes."""
        with contextlib.suppress(OSError, ValueError, NotImplementedError, AttributeError, termios.error):
            self._serial.set_low_latency_mode(True)

    def discard(self) -> None:
        """Drop what has arrived."""
        try:
            self._serial.reset_input_buffer()
        except (OSError, termios.error) as error:
            raise SensorLost(f"the {self._what} at {self.path} is gone: {_text(error)}") from None

    def close(self) -> None:
        """Free the port."""
        with contextlib.suppress(OSError, TypeError, ValueError, termios.error):
            fcntl.ioctl(self._serial.fileno(), termios.TIOCNXCL)
        with contextlib.suppress(OSError, TypeError):
            self._serial.close()


def _usb_serial(path: str) -> str:
    return next((port.serial_number or "" for port in list_ports.comports() if port.device == path), "")


def found_path(where: str) -> str:
    """Return the device file for a path or a USB serial number. Raises SensorError where it is not there."""
    here = list_ports.comports()
    listed = ", ".join(f"{p.device} (serial number {p.serial_number})" if p.serial_number else p.device for p in here)
    if "/" in where or where.upper().startswith("COM"):
        if os.path.exists(where) or os.name == "nt":
            return where
        raise SensorError(f"there is no port {where}: here are {listed or 'none'}")
    paths = [p.device for p in here if p.serial_number == where]
    if len(paths) > 1:
        raise SensorError(f"the USB device {where} has {len(paths)} ports, {', '.join(paths)}: name one of them")
    if not paths:
        raise SensorError(
            f"no USB device with serial number {where!r} is plugged in: here are {listed or 'none'}; a path is "
            "written with its folder, such as /dev/ttyACM0"
        )
    return paths[0]


def _why_closed(path: str, baud: int, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.EAGAIN, errno.EBUSY, errno.EWOULDBLOCK):
        return f"port {path} is in use by another program: close that one first; two readers would each get half of the bytes"
    if number in (errno.EACCES, errno.EPERM):
        return f"no permission to open {path}: add your user to the group that owns it (often dialout) and log in again"
    if number == errno.ENOENT:
        return f"there is no port {path}"
    if isinstance(error, ValueError):
        return f"port {path} cannot run at {baud} baud: {error}"
    return f"{path} cannot be opened as a serial port: {_text(error)}"


def _text(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
