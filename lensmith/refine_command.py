"""The command that refines the annotations of a benchmark, as CoLLM's authors did with CIRR and FashionIQ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from schemas.errors import ConfigurationError, RunFailedError
from schemas.storage import Folder
from synthesis.config import VerifyConfig

#: What is done where the settings name no chain.
CHAIN = ("verify_image", "rewrite", "verify_rewritten")


def refine_command(
    benchmark: Annotated[str, typer.Argument(help="cirr, fashioniq or circo.")],
    annotations: Annotated[
        Path, typer.Option("--annotations", help="Folder of the benchmark's files as its authors lay them out.")
    ],
    images: Annotated[Path, typer.Option("--images", help="Folder of the benchmark's images.")],
    output: Annotated[Path, typer.Option("--output", help="Folder of the refined files, and of all answers.")],
    split: Annotated[str | None, typer.Option("--split", help="val or train.", show_default="val")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Refine the first samples only.", show_default="all")
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="Settings that name the models.")] = "local",
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML file that overrides them.", show_default="none")
    ] = None,
) -> None:
    """Let a model verify a benchmark's texts, write those anew that fail, and drop what cannot be mended."""
    from lensmith.refine_run import CHANGES, refine, write_refined
    from lensmith.refine_samples import read_samples
    from lensmith.requirements import check_needs
    from lensmith.settings import load_settings
    from synthesis.writers import load_writer

    settings = load_settings(preset, config)
    judging = refining_config(settings.verify_triplets)
    if output.resolve() == annotations.resolve():
        raise ConfigurationError("--output is the folder of the annotations: name another one.")
    check_needs(settings.model_copy(update={"verify_triplets": judging}), ["verify_triplets"])
    found = read_samples(benchmark, annotations, split)
    console = Console(stderr=True)
    for note in found.notes:
        console.print(f"note: {note}", highlight=False)
    folder = Folder(str(output))
    refining = refine(
        found,
        found.samples[:limit],
        images,
        folder,
        judging,
        settings.write_instructions.filters,
        settings.annotate_images,
        load_writer,
    )
    about = {
        "benchmark": benchmark,
        "split": found.split,
        "models": {task: judging.of(task).model for task in judging.chain},
        "ambiguous": judging.ambiguous,
    }
    write_refined(found, refining, folder, about)
    _tell(refining.counts)
    for file in found.files:
        typer.echo(output / file.path)
    typer.echo(output / CHANGES)
    lost = sum(refining.counts.get(name, 0) for name in ("failed", "deferred"))
    if lost:
        raise RunFailedError(
            f"{lost} of {len(refining.refined)} samples have no verdict, since requests failed, and stay as they are: "
            "the same command asks for them again."
        )


def refining_config(config: VerifyConfig) -> VerifyConfig:
    """The settings of verification as refining takes them: a chain with eyes where none is named; and what is ambiguous
    is written anew or dropped, unless the settings say otherwise. Raises ConfigurationError."""
    chain = config.chain or CHAIN
    if "verify_image" not in chain:
        raise ConfigurationError("benchmarks hold no texts of images: put verify_image into verify_triplets.chain.")
    ambiguous = config.ambiguous if "ambiguous" in config.model_fields_set else "drop"
    made = config.model_copy(update={"chain": chain, "ambiguous": ambiguous})
    made.check_eyes()
    return made


def _tell(counts: dict[str, int]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in counts.items():
        table.add_row(name, str(count))
    Console().print(table)
