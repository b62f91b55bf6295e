"""Results of batches, into the store of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import IO, Any

from beam_jobs.chain_plan import Stores
from beam_jobs.workspace import Workspace
from lensmith.batch_requests import (
    PARTS,
    answered_ids,
    settings_of_run,
    waiting_ids,
    waiting_rows,
    waiting_shards,
)
from schemas.errors import ConfigurationError
from schemas.storage import Folder, filesystem
from synthesis.batch_files import Place, Results, generation_row, places_of, read_result
from synthesis.store import GenerationStore
from synthesis.writers.openai_writer import OpenAIWriter

#: Answers of one part of the store.
_PART = 1024
#: Counts that are always told.
WAITED, READ_IN = "requests that waited", "read in"


def read_batches(workspace: Workspace, paths: Sequence[str]) -> dict[str, int]:
    """Add the answers of result files to the store of a run; how many requests became what, and lines of no use.

    Raises ConfigurationError for a file that cannot be read.
    """
    stores = Stores.of(settings_of_run(workspace).write_instructions, workspace.path)
    store = GenerationStore(Folder(stores.own), PARTS)
    paths = sorted(set(paths), key=lambda path: (path.rstrip("/").rsplit("/", 1)[-1], path))
    results = Results()
    with ExitStack() as stack:
        sources = [stack.enter_context(_opened(path)) for path in paths]
        for number, source in enumerate(sources):
            for place, line in places_of(source, number):
                results.add(place, line)
        waiting = waiting_ids(workspace)
        answered = answered_ids(workspace, stores, waiting | results.found.keys())
        outcomes = Counter[str]()
        read_in = 0
        for rows in _rows_with_results(workspace, results, answered):
            added = []
            for row, place in rows:
                result = read_result(_line(sources, place))
                outcomes[result.outcome if result.outcome == "answered" else f"{result.outcome}: {result.reason}"] += 1
                if result.outcome != "failed":
                    added.append(generation_row(row, result, OpenAIWriter.revision))
            if added:
                store.add(added)
                read_in += len(added)
    return {
        WAITED: len(waiting),
        **{name: outcomes[name] for name in sorted(outcomes)},
        "answered before": len(answered),
        "missing": len(waiting - results.found.keys() - answered),
        "unknown custom_id": len(results.found.keys() - waiting - answered),
        **{name: results.counts[name] for name in sorted(results.counts)},
        READ_IN: read_in,
    }


def _rows_with_results(
    workspace: Workspace, results: Results, answered: set[str]
) -> Iterator[list[tuple[dict[str, Any], Place]]]:
    """Waiting requests that have a result, each once, as many at once as one part of the store takes."""
    done, held = set(answered), list[tuple[dict[str, Any], Place]]()
    for _, manifest in waiting_shards(workspace):
        for row in waiting_rows(workspace, manifest):
            name = row["request_id"]
            if name in results.found and name not in done:
                done.add(name)
                held.append((row, results.found[name][1]))
            if len(held) >= _PART:
                yield held
                held = []
    if held:
        yield held


def _opened(path: str) -> IO[bytes]:
    try:
        fs, root = filesystem(path)
        opened: IO[bytes] = fs.open(root, "rb")
    except OSError as error:
        raise ConfigurationError(f"cannot read {path} ({error.strerror or type(error).__name__}).") from error
    return opened


def _line(sources: Sequence[IO[bytes]], place: Place) -> bytes:
    source = sources[place.file]
    source.seek(place.offset)
    return source.read(place.length)
