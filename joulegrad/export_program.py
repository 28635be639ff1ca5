"""`joulegrad export`: a recipe to PROGRAM.jg."""

from __future__ import annotations

from host.packed_program import SUFFIX, digest, write_packed
from host.run_folder import RunFolderError
from joulegrad.packing import asked, refuse_packed
from joulegrad.screen import Screen
from joulegrad.settings import ExportSettings, SettingError


def run_export(settings: ExportSettings, screen: Screen) -> dict:
    """Write the file and return what it holds, as JSON data.

    Raises:
        SettingError: the file to write has another suffix, or the recipe is a PROGRAM.jg already.
        RecipeError, ConfigError, ExportError, DataError, CompileError, MethodError: as of joulegrad.packing.
        RunFolderError: it cannot be written.
    """
    if settings.out.suffix != SUFFIX:
        raise SettingError(f"--out {settings.out}: a program's name ends in {SUFFIX}, such as {settings.recipe}{SUFFIX}")
    if settings.out.is_dir() or not settings.out.absolute().parent.is_dir():
        raise SettingError(f"--out {settings.out}: name a file in a folder that is there")
    refuse_packed(settings.recipe)
    wanted = asked(settings.recipe, settings.config, settings.steps, settings.batch_size, settings.seed, settings.method)
    screen.say(f"exporting {wanted.recipe.name} for {wanted.config.name}")
    packed = wanted.pack()
    for note in packed.course().notes:  # a method that does not fit the run is refused here: on the board it could not be mended
        screen.say(note)
    try:
        write_packed(packed, settings.out)
    except OSError as error:
        raise RunFolderError(f"{settings.out} cannot be written: {error.strerror or error}") from None
    return {
        "schema": 1, "program": str(settings.out), "recipe": packed.recipe.name, "config": packed.config.name,
        "config_hash": f"{packed.config.config_hash:08x}", "method": packed.method, "seed": packed.seed,
        "iterations": packed.iterations,
        "batch_size": packed.recipe.batch, "ddr_bytes": packed.program.ddr_bytes, "train_images": len(packed.images.train),
        "test_images": len(packed.images.test), "bytes": settings.out.stat().st_size, "sha256": digest(settings.out),
    }  # fmt: skip
