"""The command that writes a trained model for sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export_model_command(
    model_dir: Annotated[Path, typer.Argument(help="Folder of a model that `lensmith train` wrote.")],
    output: Annotated[Path, typer.Option("--output", help="Folder to write, absent or empty.")],
) -> None:
    """Write a trained model as a folder that sentence-transformers loads."""
    from training.export_sentence_transformers import export_sentence_transformers

    export_sentence_transformers(model_dir, output)
    typer.echo(f'{output}: SentenceTransformer("{output}", trust_remote_code=True)')
