"""Commands of the backend `batch`: requests to files for a batch API, and its results to the store of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from lensmith.batch_read import READ_IN, WAITED, read_batches
from lensmith.batch_requests import next_command
from lensmith.batch_write import write_batches
from lensmith.output_folder import exclusive, known_output
from schemas.storage import Folder
from synthesis.batch_files import MAX_BYTES, MAX_REQUESTS, Limits

OutputDir = Annotated[str, typer.Argument(help="Output folder of a run with the backend batch.")]


def batch_write_command(
    output_dir: OutputDir,
    output: Annotated[str, typer.Option("--output", help="Folder to write, absent or empty.")],
    max_requests: Annotated[int, typer.Option("--max-requests", min=1, help="Requests of a file.")] = MAX_REQUESTS,
    max_bytes: Annotated[int, typer.Option("--max-bytes", min=1, help="Bytes of a file.")] = MAX_BYTES,
) -> None:
    """Write the requests that wait for a batch as files for the OpenAI Batch API or vLLM's run-batch."""
    workspace = known_output(output_dir)
    with exclusive(workspace):
        written = write_batches(workspace, Folder(output), Limits(max_requests, max_bytes))
    for name, count in written.files.items():
        typer.echo(f"{output.rstrip('/')}/{name}: {count} requests of {written.models[name]}")
    for reason, count in sorted(written.left_out.items()):
        typer.echo(f"left out, {reason}: {count}")
    if not written.files:
        typer.echo("no request waits for a batch: run `lensmith run` with `backend: batch` first")
        return
    typer.echo("send them to a batch API, or to `vllm run-batch -i FILE -o RESULTS --model MODEL`; then")
    typer.echo(f"lensmith batch-read {output_dir} RESULTS...")


def batch_read_command(
    output_dir: OutputDir,
    files: Annotated[list[str], typer.Argument(help="Files of results and of errors, in any order.")],
) -> None:
    """Read results of a batch API or of vLLM's run-batch into the store of a run; partial ones too."""
    workspace = known_output(output_dir)
    with exclusive(workspace):
        counts = read_batches(workspace, files)
    for name, count in counts.items():
        if count or name in (WAITED, READ_IN):
            typer.echo(f"{name}: {count}")
    if counts[READ_IN]:
        typer.echo("take the answers up, and ask for a second batch what could not be read, with")
        typer.echo(next_command(workspace))
