"""The bitstreams and resource reports that were built here, by their manifests: of what, how old, still what the sources say?"""

from __future__ import annotations

import time
from pathlib import Path

from hw import simulate
from hw.bitstream import MANIFEST, read_manifest
from hw.config import Config, ConfigError, load_config
from hw.design import DesignError, describe, load_board
from hw.verilator import ToolError

NO_SOURCES = "its sources are not here to compare with"


def list_bitstreams(folder: Path, now_s: float | None = None) -> list[dict]:
    """Return one entry for each manifest below a folder of builds, newest first.

    Args:
        folder: as `joulegrad bitstream --out` has it.
        now_s: seconds since 1970, by default now.

    Returns:
        Entries {"path", "board", "configuration", "tool", "clk_hz", "age_s", "up_to_date", "why"}; `why` says what has
        changed, or why the manifest cannot be read, in which case all between is None. On a board, which has no sources to
        compare with, `up_to_date` is None.
    """
    now_s = time.time() if now_s is None else now_s
    paths = [*folder.glob(f"*/{MANIFEST}"), *folder.glob(f"*/*/{MANIFEST}")]
    entries = [_entry(path, now_s) for path in paths]
    return sorted(entries, key=lambda entry: (entry["age_s"] is None, entry["age_s"], entry["path"]))


def _entry(path: Path, now_s: float) -> dict:
    entry = dict.fromkeys(("board", "configuration", "tool", "clk_hz", "age_s"))
    try:
        manifest = read_manifest(path)
        entry |= {name: manifest[name] for name in ("board", "tool", "clk_hz")}
        entry |= {"configuration": manifest["configuration"]["name"], "age_s": round(max(0.0, now_s - path.stat().st_mtime), 1)}
        why = _changed(manifest, path.parent)
        if not why and not simulate.FILES.is_file():
            return {"path": str(path.parent), **entry, "up_to_date": None, "why": NO_SOURCES}
    except (OSError, ValueError, TypeError) as error:  # TypeError: sizes that no configuration has
        entry = dict.fromkeys(entry)
        why = f"{path} is no manifest of a bitstream: {error}"
    return {"path": str(path.parent), **entry, "up_to_date": not why, "why": why}


def _changed(manifest: dict, folder: Path) -> str:
    """Return what has changed since a bitstream was built, "" for nothing."""
    missing = [name for name in manifest["files"] if not (folder / name).is_file()]
    if missing:
        return f"{', '.join(missing)} is not there any more"
    if not simulate.FILES.is_file():
        return ""
    sizes = {name: value for name, value in manifest["configuration"].items() if name != "hash"}
    name = sizes["name"]
    try:
        config = Config(**sizes)
        today = load_config(name)
        if today != config:
            return f"configuration {name} is another one now"
        design = describe(config, load_board(manifest["board"]), manifest["tool"])
    except (ConfigError, DesignError, ToolError) as error:
        return str(error)
    if manifest["design_sha256"] != design.digest:
        return "its sources have changed"
    return ""
