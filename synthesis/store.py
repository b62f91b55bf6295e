"""The store of answers: small immutable parts, read before anything is asked, never rewritten."""

from __future__ import annotations

import io
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
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

#: Characters of an answer that are kept: what is behind them is no instruction.
_MAX_TEXT = 20_000
#: Statuses that say "later" rather than "no".
_PASSING = ("http_408", "http_409", "http_425", "http_429")


@dataclass(frozen=True)
class GenerationStore:
    """The answers of one bucket of requests, below `name` in a folder. A part's name tells between which ids its
    answers lie, so that reading a few asks for few parts. Of several answers to one request, as two attempts at once
    may leave them, the one of the first part by name stands, until a manifest settles it."""

    folder: Folder
    name: str

    def read(self, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The answers to these requests by request id, those that are a model's refusal included."""
        ids = sorted(wanted)
        answers: dict[str, dict[str, Any]] = {}
        if not ids:
            return answers
        sought = frozenset(ids)
        for part in self.folder.list(self.name):
            bounds = part.split("-")
            if len(bounds) != 3 or not part.endswith(".parquet") or bounds[0] > ids[-1] or bounds[1] < ids[0]:
                continue
            table = pq.read_table(io.BytesIO(self.folder.read(f"{self.name}/{part}")))
            for row in table.to_pylist():
                if row["request_id"] in sought:
                    answers.setdefault(row["request_id"], row)
        return answers

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store answers as a part of its own."""
        ids = [row["request_id"] for row in rows]
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(list(rows), schema=GENERATIONS.with_metadata()), sink, **PARQUET)
        self.folder.create(f"{self.name}/{min(ids)}-{max(ids)}-{uuid.uuid4().hex}.parquet", sink.getvalue())


def answer(
    requests: Iterable[Request],
    load: Callable[[], InstructionWriter],
    store: GenerationStore,
    config: WriteConfig,
    outcomes: Outcomes,
    mark: Callable[[str], None],
    quarantine: Mapping[str, str],
    standing: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Answer distinct requests, from the store where it can: unit `request`, rows of `generations` sorted by id.

    `standing` holds answers that a manifest settled: they go before the store's. `load` gives the writer and is called
    only if something has to be asked. Rejected: `empty_answer`, `http_4XX` (the request's own fault; stored, and not
    asked again). Failed: what may pass, which is never stored; and what killed the process of the model.
    """
    wanted = {request.request_id: request for request in requests}
    outcomes.entered("request", len(wanted))
    known: dict[str, Mapping[str, Any]] = store.read(wanted) | {
        name: row for name, row in (standing or {}).items() if name in wanted
    }
    missing = [wanted[name] for name in sorted(wanted.keys() - known.keys())]
    errors = {one.request_id: quarantine[one.request_id] for one in missing if one.request_id in quarantine}
    asked = [request for request in missing if request.request_id not in errors]
    if asked:
        for row in _ask(asked, load(), store, config, mark):
            if row["error"] is not None and not _refused(row["error"]):
                errors[row["request_id"]] = row["error"]
            else:
                known[row["request_id"]] = row
    for name in sorted(wanted):
        if name in errors:
            outcomes.failed("request", errors[name].partition(":")[0], id=name, detail=errors[name])
        elif known[name]["error"] is not None:
            outcomes.rejected("request", known[name]["error"], id=name)
        elif not (known[name]["text"] or "").strip():
            outcomes.rejected("request", "empty_answer", id=name, detail=known[name]["finish_reason"])
        else:
            outcomes.row("generations", known[name])
            outcomes.kept("request")


def _refused(error: str) -> bool:
    """Whether an error is the request's own fault: asking again would give it again."""
    return error.startswith("http_4") and error not in _PASSING


def _ask(
    requests: Sequence[Request],
    writer: InstructionWriter,
    store: GenerationStore,
    config: WriteConfig,
    mark: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    """Ask, and store what came back every so many answers or seconds, and when something ends it."""
    waiting: list[dict[str, Any]] = []
    since = time.monotonic()
    try:
        for came in _answers(requests, writer, config, mark):
            for request, given in came:
                row = _row(request, given, writer)
                if row["error"] is None or _refused(row["error"]):
                    waiting.append(row)
                yield row
            if waiting and (len(waiting) >= config.flush_answers or time.monotonic() - since >= config.flush_seconds):
                store.add(waiting)
                waiting, since = [], time.monotonic()
    finally:
        if waiting:
            store.add(waiting)


def _answers(
    requests: Sequence[Request], writer: InstructionWriter, config: WriteConfig, mark: Callable[[str], None]
) -> Iterator[list[tuple[Request, Mapping[str, Any]]]]:
    """Requests with their answers as they come, none where a while passed without one. An endpoint always has
    `concurrency` of them in flight; a model in this process has one."""
    if config.backend != "openai":
        for request in requests:
            mark(request.request_id)
            yield [(request, writer.write([request.to_dict()])[0])]
        return
    remaining = iter(requests)
    flying: deque[tuple[Request, Future[Sequence[Mapping[str, Any]]]]] = deque()
    pool = ThreadPoolExecutor(config.concurrency, thread_name_prefix="lensmith-ask")
    oldest = ""
    try:
        while True:
            fresh = list(islice(remaining, config.concurrency - len(flying)))
            if not flying and not fresh:
                return
            # The oldest is the one in hand: where it does not come back at all, the process is taken for hung.
            first = flying[0][0] if flying else fresh[0]
            if first.request_id != oldest:
                oldest = first.request_id
                mark(oldest)
            flying.extend((one, pool.submit(writer.write, [one.to_dict()])) for one in fresh)
            wait([future for _, future in flying], timeout=config.flush_seconds, return_when=FIRST_COMPLETED)
            done = [pair for pair in flying if pair[1].done()]
            flying = deque(pair for pair in flying if not pair[1].done())
            yield [(one, future.result()[0]) for one, future in done]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _row(request: Request, given: Mapping[str, Any], writer: InstructionWriter) -> dict[str, Any]:
    return {
        "request_id": request.request_id,
        "prompt": f"{request.prompt}@{request.version}",
        "model": f"{writer.name} ({writer.revision})",
        "parameters": canonical_json(request.parameters),
        "messages": canonical(request),
        "image_ids": list(request.image_ids),
        "text": _storable(given["text"]),
        "finish_reason": given["finish_reason"],
        "error": None if given["error"] is None else str(given["error"]),
    }


def _storable(text: str | None) -> str | None:
    """Without halves of surrogate pairs, which JSON may hold and UTF-8 may not."""
    return None if text is None else text[:_MAX_TEXT].encode("utf-8", "ignore").decode()
