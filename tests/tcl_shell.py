"""A Tcl shell from Python's own Tcl, where no tclsh is installed: python tcl_shell.py SCRIPT ARGUMENT ..."""

import sys
import tkinter


def main(arguments: list[str]) -> int:
    """Run a script with its arguments and return the exit code."""
    tcl = tkinter.Tcl()
    tcl.tk.setvar("argv", tuple(arguments[1:]))
    try:
        tcl.evalfile(arguments[0])
    except tkinter.TclError:
        print(tcl.tk.getvar("errorInfo"), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
