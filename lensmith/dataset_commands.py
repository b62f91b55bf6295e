"""Commands on a finished dataset: export, take-down, push."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from beam_jobs.workspace import Workspace
from lensmith.output_folder import exclusive
from schemas.errors import ConfigurationError
from schemas.storage import Folder

DatasetDir = Annotated[str, typer.Argument(help="Folder of a dataset: OUT/dataset of a run.")]


def export_command(
    dataset_dir: DatasetDir,
    format: Annotated[str, typer.Option("--format", help="megapairs, mmeb, lasco, mtcir or sentence-transformers.")],
    output: Annotated[str, typer.Option("--output", help="Folder to write, absent or empty.")],
) -> None:
    """Write a dataset in the form that other trainers read."""
    from publishing.exporters.export import export

    done = export(Folder(dataset_dir), format, Folder(output))
    typer.echo(f"{output}: {done.rows} rows, {done.images} images, as {format}")


def take_down_command(
    dataset_dir: DatasetDir,
    url: Annotated[list[str] | None, typer.Option("--url", help="Address of a page or image; may be repeated.")] = None,
    host: Annotated[list[str] | None, typer.Option("--host", help="Host with all below it; may be repeated.")] = None,
    list_file: Annotated[
        Path | None, typer.Option("--list", help="File of addresses, hosts and image ids, one a line.")
    ] = None,
) -> None:
    """Remove pages and images from a dataset, and keep them out of later publications."""
    from lensmith.report import report
    from publishing.take_down import read_list, take_down
    from publishing.tombstones import Tombstones

    more = Tombstones.of(url or (), host or ())
    if list_file is not None:
        more |= read_list(list_file)
    if not more:
        raise ConfigurationError("nothing to take down: name it with --url, --host or --list.")
    target = Folder(dataset_dir)
    run = run_of(target)
    with exclusive(run) if run is not None else nullcontext():
        done = take_down(target, more, Folder(f"{run.path}/_work") if run is not None else None)
    typer.echo(
        f"{dataset_dir}: {done.triplets} triplets and {done.images} images taken down, "
        f"{done.hard_negatives} mentions as hard negatives removed"
        + (f", {done.chains} chains with them" if done.chains else "")
    )
    if not (done.triplets or done.images or done.hard_negatives):
        typer.echo("nothing in the dataset matched; what was named is noted, and later publications leave it out")
    if run is not None and run.folder.exists("report.html"):
        typer.echo(f"{report(run)}: written again without them")


def run_of(dataset: Folder) -> Workspace | None:
    """The output folder of the run that a dataset lies in; None for a dataset that stands alone."""
    path = dataset.root if dataset.is_local else dataset.path.rstrip("/")
    parent = Workspace(path.rpartition("/")[0])
    return parent if parent.folder.exists("_work/output.json") else None


def push_command(
    dataset_dir: DatasetDir,
    repo_id: Annotated[str, typer.Argument(help="Repository on the hub: OWNER/NAME.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
) -> None:
    """Upload a dataset to the Hugging Face hub; run it again to go on after a cut. The token is HF_TOKEN."""
    from publishing.push import push

    done = push(Folder(dataset_dir), repo_id, private)
    typer.echo(f"{done.url}: {done.files} files")
