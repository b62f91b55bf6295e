"""The command that makes fingerprints of a benchmark, against which a run's images and texts are checked."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from mining.decontamination.ngrams import WORDS
from schemas.errors import ConfigurationError

_SECONDS = 10.0


def fingerprint_command(
    folder: Annotated[
        str, typer.Argument(help="Folder of a benchmark: its images, and its texts as TXT, JSON, JSONL, CSV or TSV.")
    ],
    output: Annotated[str, typer.Option("--output", help="The .parquet file that `decontaminate` names.")],
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the benchmark.", show_default="the folder's")
    ] = None,
    words: Annotated[int, typer.Option("--words", min=2, max=64, help="Words of an n-gram of its texts.")] = WORDS,
    preset: Annotated[
        str, typer.Option("--preset", help="Settings that name the image model: those of the run it is for.")
    ] = "local",
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file that overrides them.", show_default="none")
    ] = None,
) -> None:
    """Make fingerprints of a benchmark's images and texts, so that runs can keep them out."""
    from lensmith.settings import load_settings
    from mining.annotation import load_models
    from mining.decontamination.config import FingerprintConfig
    from mining.decontamination.make import benchmark_files, make_fingerprints
    from schemas.storage import Folder

    models = load_settings(preset, config).annotate_images
    place = Folder(folder if "://" in folder else os.path.abspath(folder))
    if not place.fs.isdir(place.root):
        raise ConfigurationError(f"there is no folder {folder}: name the folder of a benchmark.")
    benchmark = name or place.root.rpartition("/")[2]
    if not benchmark.strip():
        raise ConfigurationError("the benchmark needs a name: give one with --name.")
    benchmark_files(place)
    target = output if "://" in output else os.path.abspath(output)
    _writable(target)
    # Its own looks at images alone: no other model is wanted here.
    unwanted = ("safety_model", "caption_model", "pattern_model", "generated_model")
    encoder = load_models(models.model_copy(update=dict.fromkeys(unwanted))).images
    settings = FingerprintConfig(words=words)
    info = make_fingerprints(place, target, benchmark, encoder, settings, models, _progress(time.monotonic))
    typer.echo(f"{output}: {info.images} images, {info.texts} texts ({info.grams} n-grams) of {benchmark}")
    for what, counts in (("images", info.left_out), ("files of texts", info.unreadable)):
        if counts:
            typer.echo(f"left out {sum(counts.values())} {what}: {_listed(counts)}")
    if info.short_texts:
        typer.echo(f"{info.short_texts} texts have fewer than {words} words and no n-grams")


def _writable(target: str) -> None:
    """Raises ConfigurationError where no file can be made: before hours of work, not after."""
    from schemas.storage import filesystem

    fs, path = filesystem(target)
    try:
        if fs.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        fs.makedirs(path.rpartition("/")[0] or "/", exist_ok=True)
        if "://" not in target and not os.access(os.path.dirname(path), os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ConfigurationError(f"cannot write {target}: {error.strerror or error}: name another --output.") from error


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items()))


def _progress(clock: Callable[[], float]) -> Callable[[str, int, int], None]:
    """Says every few seconds how far it is."""
    began = last = clock()

    def say(what: str, done: int, total: int) -> None:
        nonlocal last
        now = clock()
        if now - last >= _SECONDS:
            last = now
            typer.echo(f"{done} of {total} {what}, {now - began:.0f} s", err=True)

    return say
