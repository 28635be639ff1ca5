"""`joulegrad package`: one archive that installs joulegrad on a board without a network, PyTorch or a compiler.

It is a zip that Python runs (joulegrad/board_install.py is inside) and holds wheels: this software as it stands here, and the
pure-Python packages of board_packages.txt, whose hashes stand there. The same inputs give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import joulegrad
from host import provenance
from hw.verilator import BUILD

ROOT = Path(__file__).parents[1]
FOLDERS = ("algo", "hw", "host", "measurements", "joulegrad")
SUFFIXES = (".py", ".json", ".css", ".js", ".txt")
PACKAGES = Path(__file__).with_name("board_packages.txt")
WHEELS = BUILD / "board-wheels"
PYTHON = (3, 10)
DATE = (1980, 1, 1, 0, 0, 0)

MAIN = """import sys
if sys.version_info < {python}:
    sys.exit("joulegrad: this Python is %d.%d, but {words} or newer is needed: PYNQ images have it from 3.0 on"
             % tuple(sys.version_info[:2]))
from board_install import main
sys.exit(main())
"""
"""What the archive begins with: it has to be understood by every Python that a board may have."""


class PackageError(RuntimeError):
    """The board package cannot be made; the message says what is missing."""


def make_package(out: Path, wheels: Path = WHEELS) -> dict:
    """Write the archive and return what is in it, as JSON data.

    Args:
        wheels: folder where the carried wheels are, or are downloaded to.

    Raises:
        PackageError: a wheel that is not there cannot be downloaded, or the archive not be written.
    """
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise PackageError(f"{out} cannot be written: name a file in a folder that is there")
    carried = _wheels(wheels)
    name, own = own_wheel()
    words = ".".join(map(str, PYTHON))
    members = {
        "__main__.py": MAIN.format(python=PYTHON, words=words).encode(),
        "board_install.py": Path(__file__).with_name("board_install.py").read_bytes(),
        f"wheels/{name}": own, **{f"wheels/{path.name}": path.read_bytes() for path in carried},
    }  # fmt: skip
    try:
        partial = out.with_name(f".{out.name}.partial")
        partial.write_bytes(_zipped(members))
        partial.replace(out)
    except OSError as error:
        raise PackageError(f"{out} cannot be written: {error.strerror or error}") from None
    return {
        "schema": 1, "package": str(out), "bytes": out.stat().st_size, "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
        "commit": provenance.commit(), "python": f">={words}",
        "wheels": [Path(member).name for member in members if member.endswith(".whl")],
    }  # fmt: skip


def own_wheel() -> tuple[str, bytes]:
    """Return name and bytes of a wheel of this software: what runs without a simulator, tests or RTL."""
    version = joulegrad.__version__
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES and path.is_file()]
    members = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths if "__pycache__" not in path.parts}
    members[provenance.COMMIT_FILE] = f"{provenance.commit()}\n".encode()
    info = f"joulegrad-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {name}\n" for name in ("numpy", "pyserial", "rich", "typer"))
    members[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: joulegrad\nVersion: {version}\nRequires-Python: >={'.'.join(map(str, PYTHON))}\n{needs}"
    ).encode()
    members[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: joulegrad\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members[f"{info}/entry_points.txt"] = b"[console_scripts]\njoulegrad = joulegrad.cli:main\n"
    rows = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in sorted(members.items())]
    members[f"{info}/RECORD"] = ("\n".join([*rows, f"{info}/RECORD,,"]) + "\n").encode()
    return f"joulegrad-{version}-py3-none-any.whl", _zipped(members)


def _wheels(folder: Path) -> list[Path]:
    """Return the carried wheels, after what is missing has been downloaded."""
    wanted = pinned()
    found = _present(folder, wanted)
    if len(found) < len(wanted):
        _download(folder)
        found = _present(folder, wanted)
    missing = sorted(set(wanted) - set(found))
    if missing:
        names = ", ".join(wanted[one] for one in missing)
        raise PackageError(f"{folder} has no wheel of {names} with the hash in {PACKAGES.name}")
    return sorted(found.values())


def pinned() -> dict[str, str]:
    """Return the hash of each wheel to the package and version that it is of."""
    lines = PACKAGES.read_text(encoding="utf-8").splitlines()
    return {digest: name for name, digest in re.findall(r"^(\S+) --hash=sha256:([0-9a-f]{64})$", "\n".join(lines), re.MULTILINE)}


def _present(folder: Path, wanted: dict[str, str]) -> dict[str, Path]:
    hashes = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in folder.glob("*.whl")}
    return {digest: path for digest, path in hashes.items() if digest in wanted}


def _download(folder: Path) -> None:
    """Have pip bring the wheels from the index that it is set up for."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
        "--only-binary=:all:", "--python-version", ".".join(map(str, PYTHON)), "--implementation", "py", "--abi", "none",
        "--platform", "any", "--dest", str(folder.resolve()), "--requirement", str(PACKAGES),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(command, capture_output=True, text=True, cwd=elsewhere)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines() or ["nothing"]
        raise PackageError(
            f"the packages of {PACKAGES.name} cannot be downloaded, so put their wheels into {folder}; pip said: {said[-1]}"
        )


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _zipped(members: dict[str, bytes]) -> bytes:
    """Return a zip of members in their names' order, with a fixed date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(members.items()):
            info = zipfile.ZipInfo(name, DATE)
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_STORED if name.endswith(".whl") else zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return buffer.getvalue()
