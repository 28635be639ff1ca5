"""The loops in C that stand in for chains of torch operations on a CPU: compiled where they run, at their first use.

The same integers, sooner. Without a C compiler the torch operations run, on every device; `runs_on` says which it is.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import threading
from functools import cache
from pathlib import Path

import torch

from algo import build_folder
from algo.step import Pass
from algo.vector_pass import Numbers, Result
from algo.windows import Windows, images_of, rows_of

SOURCES = tuple(Path(__file__).with_name(name) for name in ("vector_pass.c", "window_rows.c", "scalar_program.c"))
BUILD = build_folder.BUILD / "algo"
_COMPILERS = ("cc", "gcc", "clang")
_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
_BLOCK = 1024
_KINDS = {torch.int8: 1, torch.int32: 2}
_SELECTED = {"acc_max_value": 3, "acc_max_index": 4}
_POSTS = ("none", "relu", "sign", "sign_threshold", "soft_threshold")
_SUMS = ("", "square", "v")
_FORMS = ("", "wide", "high", "low")
_thread = threading.local()


class _Pass(ctypes.Structure):
    """The struct of the same name in vector_pass.c."""

    _fields_ = [(name, kind) for names, kind in (
        ("rows channels position", ctypes.c_int64), ("u v", ctypes.c_void_p), ("u_kind v_kind su sv", ctypes.c_int64),
        ("a b d", ctypes.c_void_p), ("post stochastic sum_kind form", ctypes.c_int64), ("key", ctypes.c_uint32),
        ("threshold", ctypes.c_double), ("mask out positive maximum sums", ctypes.c_void_p),
    ) for name in names.split()]  # fmt: skip


class _Windows(ctypes.Structure):
    """The struct of the same name in window_rows.c."""

    _fields_ = [(name, ctypes.c_int64) for name in "n h w c kh kw stride pad_y pad_x spread oh ow".split()] + [
        (name, ctypes.c_void_p) for name in ("x", "rows")
    ]


def runs_on(device: torch.device) -> bool:
    """Return whether the compiled loops are there for a device."""
    return device.type == "cpu" and library() is not None


def loops() -> str:
    """Return which loops an emulator ran on this machine's CPU, for records; "" where none has run."""
    if not library.cache_info().currsize:
        return ""
    found = library()
    return "torch operations" if found is None else f"compiled C, {Path(found._name).name}"


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled loops; None where there is no C compiler, or it fails."""
    compiler = next((found for found in map(shutil.which, _COMPILERS) if found), None)
    if compiler is None:
        return None
    described = "\n".join((compiler, *_FLAGS, *(source.read_text() for source in SOURCES), _processor()))
    path = BUILD / f"loops-{hashlib.sha256(described.encode()).hexdigest()[:16]}.so"
    try:
        if not path.exists():
            BUILD.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}")
            subprocess.run([compiler, *_FLAGS, "-o", partial, *SOURCES, "-lm"], check=True, capture_output=True, timeout=120)
            partial.replace(path)
        return ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def vector_pass(
    one: Pass, u: torch.Tensor | None, v: torch.Tensor | None, numbers: Numbers, mask: torch.Tensor | None = None, first: int = 0
) -> Result:
    """Compute a pass as algo.vector_pass.vector_pass does, on a CPU; u and v are int8, or int32 from the array."""
    n, c, h, w = (u if u is not None else v).shape
    rows = n * h * w
    u, v, mask = (None if x is None else rows_of(x).contiguous() for x in (u, v, mask))
    out = torch.empty((rows, c), dtype=torch.int32 if one.wide else torch.int8)
    positive = torch.empty((rows, c), dtype=torch.bool) if one.mask_out else None
    maximum = torch.zeros((), dtype=torch.float64) if one.maximum else None
    sums = torch.zeros((2, c), dtype=torch.int64) if one.sums else None
    half = 0.5 if numbers.key is None else 0.0
    a, b, d = (x.expand(c).contiguous() for x in (numbers.a, numbers.b, numbers.d + half))
    scratch = torch.empty(7 * max(_BLOCK, c), dtype=torch.float64)
    key = 0 if numbers.key is None else int(numbers.key) & 0xFFFFFFFF
    kinds = (_SELECTED.get(one.u) or _KINDS[u.dtype] if u is not None else 0, _KINDS[v.dtype] if v is not None else 0)
    one_pass = _Pass(
        rows, c, first * h * w, _pointer(u), _pointer(v), *kinds, one.su, one.sv, _pointer(a), _pointer(b), _pointer(d),
        _POSTS.index(one.post), numbers.key is not None, _SUMS.index(one.sums),
        _FORMS.index("wide" if one.wide else one.byte), key, float(numbers.threshold),
        _pointer(mask), _pointer(out), _pointer(positive), _pointer(maximum), _pointer(sums),
    )  # fmt: skip
    library().vector_pass(ctypes.byref(one_pass), ctypes.c_void_p(scratch.data_ptr()))
    out, positive = (None if x is None else images_of(x, n, h, w) for x in (out, positive))
    return Result(out, positive, maximum, sums)


def window_rows(x: torch.Tensor, windows: Windows) -> torch.Tensor:
    """Lay windows out as algo.windows.window_rows does, on a CPU; what this thread laid out before may be overwritten."""
    n, c, h, w = x.shape
    pixels, (kh, kw), (oh, ow) = rows_of(x).contiguous(), windows.kernel, windows.out
    if windows == Windows((1, 1), 1, (0, 0), (h, w)):
        return pixels
    count, line = n * oh * ow * kh * kw * c, ((ow - 1) * windows.stride + kw) * c
    kept = _kept(count + line)
    rows, line = kept[:count].view(-1, kh * kw * c), kept[count:]
    laid_out = _Windows(
        n, h, w, c, kh, kw, windows.stride, *windows.pad, windows.spread, oh, ow, pixels.data_ptr(), rows.data_ptr()
    )
    library().window_rows(ctypes.byref(laid_out), ctypes.c_void_p(line.data_ptr()))
    return rows


def run_program(program: tuple[int, ...], table: torch.Tensor, scalars: torch.Tensor) -> None:
    """Run a scalar program for every channel, in place, as algo.device_programs.run_program does, on a CPU."""
    words = _words(program)
    library().scalar_program(
        words, ctypes.c_int64(len(program)), ctypes.c_void_p(table.data_ptr()), *map(ctypes.c_int64, table.shape),
        ctypes.c_void_p(scalars.data_ptr()),
    )  # fmt: skip


@cache
def _words(program: tuple[int, ...]) -> ctypes.Array:
    return (ctypes.c_uint32 * len(program))(*program)


def _kept(count: int) -> torch.Tensor:
    """Return `count` bytes of memory that stays this thread's: fresh memory would cost as much as the rows themselves."""
    kept = getattr(_thread, "kept", None)
    if kept is None or len(kept) < count:
        kept = _thread.kept = torch.empty(count, dtype=torch.int8)
    return kept


def _pointer(x: torch.Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()
