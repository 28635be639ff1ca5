"""Stand-ins for vendor and synthesis tools: put first on PATH, they note how they are called and leave what the tool would."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

STUB = Path(__file__).parent / "vivado_stub.tcl"

HEAD = """#!{python}
import json, os, pathlib, shutil, subprocess, sys
name, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
with open({calls!r}, "a") as calls:
    calls.write(json.dumps([name, *arguments]) + "\\n")
if name in os.environ.get("BROKEN", "").split():
    sys.exit(f"ERROR: {{name}} is broken")
def leave(option, text):
    pathlib.Path(arguments[arguments.index(option) + 1]).write_text(text)
"""

VIVADO = """
if arguments == ["-version"]:
    print("Vivado v" + os.environ.get("VIVADO_VERSION", "2020.1") + " (64-bit)")
else:
    script = arguments[arguments.index("-source") + 1]
    done = subprocess.run([*{tclsh!r}, {stub!r}, script])
    sys.exit(done.returncode)
"""

YOSYS = """
if arguments == ["-V"]:
    print("Yosys 0.70 (stand-in)")
elif arguments[:1] == ["-s"]:
    folder = pathlib.Path(arguments[1]).parent
    for line in pathlib.Path(arguments[1]).read_text().splitlines():
        words = line.split()
        if words[:1] == ["write_json"]:
            given = os.environ.get("YOSYS_NETLIST")
            (folder / words[1]).write_text(pathlib.Path(given).read_text() if given else "{}")
        if words[:1] == ["read_slang"]:
            missing = [word for word in words if word.startswith("rtl/") and not (folder / word).is_file()]
            if missing:
                sys.exit(f"ERROR: no {missing}")
        if words[:1] == ["tee"]:
            name = words[words.index("-o") + 1]
            (folder / name).write_text(os.environ.get("YOSYS_" + name.partition(".")[0].upper(), "nothing\\n"))
    print(os.environ.get("YOSYS_LOG", "mapping memory joulegrad_core.u_a.mem_q via $__XILINX_BLOCKRAM_SDP_"))
elif arguments != ["-Q", "-p", "help read_slang"]:
    sys.exit(f"ERROR: {arguments}")
"""

NEXTPNR = """
if arguments == ["--version"]:
    print(f"{{name}} -- Next Generation Place and Route (Version stand-in)", file=sys.stderr)
else:
    for option in ("--json", "--xdc", "--lpf", "--chipdb"):
        if option in arguments and not pathlib.Path(arguments[arguments.index(option) + 1]).is_file():
            sys.exit(f"ERROR: no file for {{option}}")
    rates = os.environ.get("FMAX_MHZ", "110.5").split(",")  # of the seeds in turn, the last one for all behind it
    seed = int(arguments[arguments.index("--seed") + 1]) if "--seed" in arguments else 1
    mhz = float(rates[min(seed, len(rates)) - 1])
    print("Info: \\t          SLICE_LUTX: 30000/106400    28%")
    print("Info: Max frequency for clock 'clk': 50.00 MHz (FAIL at 100.00 MHz)")
    print(f"Info: Max frequency for clock 'clk': {{mhz}} MHz (PASS at 100.00 MHz)")
    if "--report" in arguments:
        used = {{"TRELLIS_COMB": {{"used": 20000, "available": 83640}}, "MULT18X18D": {{"used": 80, "available": 156}}}}
        leave("--report", json.dumps({{"fmax": {{"$glbnet$clk": {{"achieved": mhz, "constraint": 50}}}}, "utilization": used}}))
    leave("--textcfg" if "--textcfg" in arguments else "--fasm", "routed")
"""

LAST = """
if arguments == ["--version"]:
    print(f"Preparing to run yowasp-{{name}}. This might take a while...\\nstand-in of {{name}}")
elif not pathlib.Path(arguments[-2] if name != "xc7frames2bit" else arguments[arguments.index("--frm_file") + 1]).is_file():
    sys.exit("ERROR: no input")
else:
    pathlib.Path(arguments[-1]).write_text("bits of " + name)
"""

BODIES = {
    "vivado": VIVADO, "yosys": YOSYS, "nextpnr-xilinx": NEXTPNR, "nextpnr-ecp5": NEXTPNR, "fasm2frames": LAST,
    "xc7frames2bit": LAST, "ecppack": LAST,
}  # fmt: skip


def tclsh() -> list[str]:
    """Return the command of a Tcl shell: tclsh, or Python's own Tcl."""
    path = shutil.which("tclsh")
    return [path] if path else [sys.executable, str(Path(__file__).with_name("tcl_shell.py"))]


class StandIns:
    """The stand-ins in a folder of their own.

    Attributes:
        folder: to be put first on PATH.
        data: folder of the chip databases that openXC7 wants.
    """

    def __init__(self, folder: Path, part: str = "xc7z020clg400-1"):
        self.folder, self.data, self._log = folder / "bin", folder / "data", folder / "calls.jsonl"
        self.folder.mkdir(parents=True)
        for name, body in BODIES.items():
            head = HEAD.format(python=sys.executable, calls=str(self._log))
            text = body if name == "yosys" else body.format(tclsh=tclsh() if name == "vivado" else "", stub=str(STUB))
            path = self.folder / name
            path.write_text(head + text)
            path.chmod(0o755)
        (self.data / "zynq7" / part).mkdir(parents=True)
        (self.data / f"{part.rpartition('-')[0]}.bin").write_text("chip")
        (self.data / "zynq7" / part / "part.yaml").write_text("part")

    def without(self, *names: str) -> None:
        """Take tools away."""
        for name in names:
            (self.folder / name).unlink()

    def calls(self) -> list[list[str]]:
        """Return how the tools were called, without the questions for versions, and forget it."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        self._log.unlink(missing_ok=True)
        asked = {"-version", "--version", "-V", "-Q"}
        return [call for call in map(json.loads, lines) if not asked & set(call[1:2])]

    def environment(self) -> dict[str, str]:
        """Return what has to be in the environment."""
        return {
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}", "CHIPDB": str(self.data), "PRJXRAY_DB_DIR": str(self.data),
        }  # fmt: skip
