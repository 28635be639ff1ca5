"""The command line in this process: what it answers, and with which code it ends."""

from __future__ import annotations

from typer.testing import CliRunner

from joulegrad.cli import app


def invoke(*arguments: object, columns: int = 80) -> tuple[int, str, str]:
    """Return (exit code, standard output, standard error) of a command; an exception that it does not know is raised.

    Args:
        columns: of the terminal.
    """
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(columns)})
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr
