"""The command that trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from schemas.errors import ConfigurationError, MissingPackageError

#: Packages that training needs and that may be missing.
NEEDED = frozenset({"torch", "transformers", "accelerate", "safetensors", "tokenizers"})


def train_on(
    dataset: Path | str,
    output: Path,
    settings: Mapping[str, Any],
    say: Callable[[str], None],
    resume: bool = False,
    console: Console | None = None,
) -> None:
    """Train on a dataset and keep the model in `output`; with `resume`, from its last checkpoint. Where `console` is a
    terminal, progress is drawn there."""
    try:
        from lensmith.training_models import surroundings
        from training.config import train_config
        from training.run import train
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in NEEDED:
            raise
        raise MissingPackageError(package, "train", "training") from error
    train(dataset, output, train_config(settings), surroundings(say, console), resume)


def read_settings(config: Path | None) -> dict[str, Any]:
    """The mapping in a YAML file; without one nothing. Raises ConfigurationError."""
    if config is None:
        return {}
    try:
        settings = yaml.safe_load(config.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(f"cannot read the configuration {config}: {reason}.") from error
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{config} must hold a mapping of sections, such as `run: {{steps: 300}}`.")
    return {str(key): value for key, value in settings.items()}


def train_command(
    dataset: Annotated[str, typer.Option("--dataset", help="A dataset: OUT/dataset of a run, or an address of one.")],
    output: Annotated[Path, typer.Option("--output", help="Folder of the model.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file: model, data, objectives, run, stages.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in --output.")] = False,
) -> None:
    """Train a retriever on a dataset: by default a small fusion model over features of frozen towers."""
    train_on(dataset, output, read_settings(config), typer.echo, resume, Console(stderr=True))
    from training.processes import is_first, leave

    if is_first():
        typer.echo(f"{output}: trained")
    leave()
