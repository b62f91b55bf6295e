"""The store of answers: small immutable parts, read before anything is asked, never rewritten."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.ids import canonical_json
from schemas.outcomes import Outcomes
from schemas.protocols import InstructionWriter
from schemas.storage import PARQUET, Folder
from schemas.tables import GENERATIONS
from synthesis.config import WriteConfig
from synthesis.requests import Request, canonical


@dataclass(frozen=True)
class GenerationStore:
    """The answers of one bucket of requests, below `name` in a folder. Of several answers to one request, as two
    attempts at once may leave them, the one of the first part by name stands."""

    folder: Folder
    name: str

    def read(self) -> dict[str, dict[str, Any]]:
        """All answers by request id."""
        answers: dict[str, dict[str, Any]] = {}
        for part in self.folder.list(self.name):
            if part.endswith(".parquet"):
                table = pq.read_table(io.BytesIO(self.folder.read(f"{self.name}/{part}")))
                for row in table.to_pylist():
                    answers.setdefault(row["request_id"], row)
        return answers

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store answers as a part of its own."""
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(list(rows), schema=GENERATIONS.with_metadata()), sink, **PARQUET)
        self.folder.create(f"{self.name}/{uuid.uuid4().hex}.parquet", sink.getvalue())


def answer(
    requests: Iterable[Request],
    load: Callable[[], InstructionWriter],
    store: GenerationStore,
    config: WriteConfig,
    outcomes: Outcomes,
    mark: Callable[[str], None],
    quarantine: Mapping[str, str],
) -> None:
    """Answer distinct requests, from the store where it can: unit `request`, rows of `generations` sorted by id.

    `load` gives the writer and is called only if something has to be asked. Rejected: `empty_answer`, `http_4XX`
    (the request's own fault). Failed: what may pass, which is never stored.
    """
    wanted = {request.request_id: request for request in requests}
    outcomes.entered("request", len(wanted))
    known = {name: row for name, row in store.read().items() if name in wanted}
    errors: dict[str, str] = {}
    missing = [wanted[name] for name in sorted(wanted.keys() - known.keys())]
    asked = [request for request in missing if request.request_id not in quarantine]
    errors.update({one.request_id: quarantine[one.request_id] for one in missing if one.request_id in quarantine})
    if asked:
        _ask(asked, load(), store, config, known, errors, mark)
    for name in sorted(wanted):
        if name in errors:
            _report_error(name, errors[name], outcomes)
        elif not (known[name]["text"] or "").strip():
            outcomes.rejected("request", "empty_answer", id=name)
        else:
            outcomes.row("generations", known[name])
            outcomes.kept("request")


def _ask(
    requests: Sequence[Request],
    writer: InstructionWriter,
    store: GenerationStore,
    config: WriteConfig,
    known: dict[str, dict[str, Any]],
    errors: dict[str, str],
    mark: Callable[[str], None],
) -> None:
    """Ask in batches, and store what came back every so many answers or seconds."""
    size = 4 * config.concurrency if config.backend == "openai" else 1
    remaining, waiting, since = iter(requests), [], time.monotonic()
    while batch := list(islice(remaining, size)):
        mark(batch[0].request_id)
        for request, given in zip(batch, writer.write([one.to_dict() for one in batch]), strict=True):
            if given["error"] is not None:
                errors[request.request_id] = str(given["error"])
                continue
            row = _row(request, given, writer)
            known[request.request_id] = row
            waiting.append(row)
        if len(waiting) >= config.flush_answers or time.monotonic() - since >= config.flush_seconds:
            store.add(waiting)
            waiting, since = [], time.monotonic()
    if waiting:
        store.add(waiting)


def _row(request: Request, given: Mapping[str, Any], writer: InstructionWriter) -> dict[str, Any]:
    return {
        "request_id": request.request_id,
        "prompt": f"{request.prompt}@{request.version}",
        "model": f"{writer.name} ({writer.revision})",
        "parameters": canonical_json(request.parameters),
        "messages": canonical(request),
        "image_ids": list(request.image_ids),
        "text": given["text"],
        "finish_reason": given["finish_reason"],
        "error": None,
    }


def _report_error(name: str, error: str, outcomes: Outcomes) -> None:
    reason = error.partition(":")[0]
    if reason.startswith("http_4") and reason not in ("http_408", "http_425", "http_429"):
        outcomes.rejected("request", reason, id=name, detail=error)
    else:
        outcomes.failed("request", reason, id=name, detail=error)
