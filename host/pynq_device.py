"""The board that PYNQ drives: held for one process, found, named; what PYNQ raises as errors of ours."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from host import termination
from host.board import BoardError
from host.rail_map import board_text

REMOTE = "PYNQ_REMOTE_DEVICES"
"""Variable of the environment that tells PYNQ, when it is imported, to drive a board over a network."""

LOCKS = Path(tempfile.gettempdir())
"""Where the files lie that keep other processes off a board."""


@contextlib.contextmanager
def claimed(host: str) -> Iterator[None]:
    """Hold the board for this process: the one that this computer is, or as far as this computer's processes go, a remote one."""
    name = re.sub(r"[^A-Za-z0-9.]", "-", host) or "local"
    path = LOCKS / f"joulegrad-pynq-{name}.lock"
    try:
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:  # Linux refuses to open a file of somebody else in /tmp with O_CREAT, even root
            handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise BoardError(f"the lock {path} that keeps other processes off the board cannot be had: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip()
            if holder == f"process {os.getpid()}":
                raise BoardError("this process has the board open already: close it first, or leave its with block") from None
            raise BoardError(
                f"the board is in use by another process{f' ({holder})' if holder else ''}: end that one first; two would load "
                "their bitstreams over each other"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Leave the process in order on SIGTERM, so that the core is stopped, unless somebody does so already."""
    mine = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    try:
        if mine:
            signal.signal(signal.SIGTERM, termination.raises(SystemExit, 128 + signal.SIGTERM))
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def find_device(host: str) -> tuple:
    """Return the package pynq, the device to drive, and what the board calls itself. Raises BoardError."""
    if host:
        os.environ[REMOTE] = host  # PYNQ looks at it when it is imported
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on a machine that is no board, importing it alone gives several
            import pynq
            import pynq.interrupt
            from pynq.pl_server import Device
    except ImportError as error:
        raise BoardError(
            f"this machine is no PYNQ board, or its PYNQ is not where this Python looks ({error}): run on the board, with "
            "its own Python, or take --board sim"
        ) from None
    if host:
        device = _remote_device(host)
        Device.active_device = device  # what PYNQ uses itself where it takes no device
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            devices = Device.devices
        if not devices:
            raise BoardError(
                "PYNQ finds no board here: on one, run as root in PYNQ's environment (sudo -i); from elsewhere, name the "
                "board's host, pynq:<host>, or take --board sim"
            )
        device = devices[0]
    if hasattr(pynq.Clocks, "set_device"):
        pynq.Clocks.set_device(device)
    remote = device.has_capability("REMOTE")
    return pynq, device, str(device.name) if remote else board_text()


def _remote_device(host: str):
    try:
        from pynq.pl_server.remote_device import RemoteDevice
    except ImportError as error:
        raise BoardError(f"this PYNQ drives no boards over a network ({error}): version 3.1 or later with grpcio does") from None
    try:
        return RemoteDevice(0, host)
    except RuntimeError as error:
        raise BoardError(
            f"no PYNQ.remote server answers at {host}: {error}; is the board on, with a PYNQ.remote image?"
        ) from None


@contextlib.contextmanager
def asked(failed: str) -> Iterator[None]:
    """Make BoardErrors of what PYNQ, XRT and gRPC raise; `failed` is what could not be done."""
    try:
        yield
    except BoardError:
        raise
    except Exception as error:  # there is no common class, and gRPC's is not known here
        raise BoardError(f"{failed}: {error_text(error)}") from error


def error_text(error: Exception) -> str:
    """Return what an error says, in one line; of gRPC's errors, which print as several, what the server said."""
    details = getattr(error, "details", None)
    said = details() if callable(details) else str(error)
    return " ".join(str(said or "").split())[:300] or type(error).__name__
