"""Answers requests: from the store where it can, from a model where it must, and never twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.ids import canonical_json
from schemas.outcomes import Outcomes
from schemas.protocols import InstructionWriter
from synthesis.config import WriterConfig
from synthesis.costs import Budget, tokens_of
from synthesis.flushing import Flusher
from synthesis.requests import Request, canonical
from synthesis.store import GenerationStore

#: Characters of an answer that are kept: what is behind them is no instruction.
_MAX_TEXT = 20_000
#: Errors that are the request's own fault: of models in this process, and of endpoints. Other statuses may tell of the
#: key, the model or the server.
_OWN_FAULTS = frozenset({"too_long", "no_images", "bad_image", "bad_prompt", "bad_schema"})
OWN_STATUSES = frozenset({400, 413, 422})
#: What a child process marks while an endpoint answers: no request is at fault if it dies.
ENDPOINT_MARK = "endpoint"

Row = dict[str, Any]


@dataclass(frozen=True)
class Asking:
    """What answering needs beside the requests.

    `load` gives the writer and is called only if something has to be asked; None puts everything off (reason `batch`).
    `follow_up`: the request that asks again where an answer cannot be read, else None. `images`: image ids and the
    longer side in pixels to encoded files; raises ValueError for one that cannot be read. `mark` names what is in hand.
    """

    store: GenerationStore
    config: WriterConfig
    load: Callable[[], InstructionWriter] | None
    follow_up: Callable[[Request, str], Request | None] = lambda request, text: None
    images: Callable[[Sequence[str], int], Sequence[bytes]] | None = None
    mark: Callable[[str], None] = lambda key: None
    quarantine: Mapping[str, str] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)


@dataclass
class Usage:
    """What the answers of a shard took, as counts of `requests`, `prompt_tokens` and `completion_tokens`: by (prompt,
    model), and of those that this store's own shards have sent. `texts`: the answers by request id."""

    tokens: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any], own: bool) -> None:
        """Count an answer."""
        prompt, completion = tokens_of(row)
        counted = {"requests": 1, "prompt_tokens": prompt, "completion_tokens": completion}
        self.tokens.setdefault((row["prompt"], row["model"]), Counter()).update(counted)
        if own:
            self.sent.update(counted)
        if row["error"] is None and row["text"] is not None:
            self.texts[row["request_id"]] = row["text"]


def answer(
    requests: Iterable[Request],
    asking: Asking,
    outcomes: Outcomes,
    known: Mapping[str, Mapping[str, Any]] | None = None,
) -> Usage:
    """Answer distinct requests: unit `request`, rows of `generations` sorted by id.

    `known` holds answers of other stores: they go before this store's. An answer that cannot be read is asked for once
    more (`follow_up`), as a request of its own. Rejected: `empty_answer`, `image_unreadable`, and the request's own
    faults (`http_400`, `too_long` and the like), which are stored and not asked again. Failed: what may pass, which is
    never stored, and what killed the process of the model. Deferred: what a budget did not allow, and what waits for a
    batch.
    """
    shard = _Shard({request.request_id: request for request in requests}, asking, known or {})
    shard.ask()
    return shard.report(outcomes)


class _Shard:
    def __init__(self, wanted: dict[str, Request], asking: Asking, known: Mapping[str, Mapping[str, Any]]) -> None:
        self._asking = asking
        self._wanted = wanted
        own = asking.store.read(wanted)
        self._rows: dict[str, Row] = own | {name: dict(row) for name, row in known.items()}
        self._own = set(own)
        self._faults: dict[str, Row] = {}
        self._deferred: dict[str, str] = {}
        budget = asking.budget
        price = budget.price
        budget.spend(len(own), sum(price.cost(*tokens_of(row)) for row in own.values()) if price else 0.0)

    def ask(self) -> None:
        """Ask what no store answers, then once more what could not be read."""
        self._put([one for name, one in self._wanted.items() if name not in self._rows])
        again = [found for request in self._wanted.values() if (found := self._follow_up(request)) is not None]
        self._wanted |= {one.request_id: one for one in again}
        self._put([one for one in again if one.request_id not in self._rows])

    def _follow_up(self, request: Request) -> Request | None:
        row = self._rows.get(request.request_id)
        if row is None or row["error"] is not None or not (row["text"] or "").strip():
            return None
        return self._asking.follow_up(request, row["text"])

    def _put(self, missing: Sequence[Request]) -> None:
        asked = []
        for request in missing:
            name = request.request_id
            if name in self._asking.quarantine:
                self._faults[name] = {"error": self._asking.quarantine[name], "tries": None}
            elif self._asking.load is None:
                self._deferred[name] = "batch"
            else:
                asked.append(request)
        if asked:
            assert self._asking.load is not None
            self._ask(asked, self._asking.load())

    def _ask(self, requests: Sequence[Request], writer: InstructionWriter) -> None:
        """Ask, and store what came back every so many answers or seconds, and when something ends it."""
        config = self._asking.config
        with Flusher(self._asking.store, config) as flusher:
            for came in writer.stream(self._drawn(requests)):
                if config.backend == "openai":
                    self._asking.mark(ENDPOINT_MARK)
                if came is not None:
                    request = self._wanted[came[0]["request_id"]]
                    row = _row(request, came[1], writer)
                    self._asking.budget.settle(request, row)
                    if row["error"] is None or _refused(row["error"]):
                        self._rows[request.request_id] = row
                        self._own.add(request.request_id)
                        flusher.add(row)
                    else:
                        self._faults[request.request_id] = row | {"tries": came[1].get("tries")}
                flusher.tick()

    def _drawn(self, requests: Sequence[Request]) -> Iterator[dict[str, Any]]:
        """The requests as the writer has room for them, with their images, as far as the budget goes."""
        for request in requests:
            refused = self._asking.budget.refuse(request)
            if refused is not None:
                self._deferred[request.request_id] = refused
                continue
            data = request.to_dict()
            if request.image_ids:
                assert self._asking.images is not None, "a step that shows images runs where they can be read"
                try:
                    data["images"] = list(self._asking.images(request.image_ids, request.parameters["image_side"]))
                except ValueError as error:
                    self._faults[request.request_id] = {"error": f"image_unreadable: {error}", "tries": None}
                    self._asking.budget.give_back(request)
                    continue
            if self._asking.config.backend != "openai":
                self._asking.mark(request.request_id)
            yield data

    def report(self, outcomes: Outcomes) -> Usage:
        """Each request's outcome, once, and the rows of those that were answered."""
        usage = Usage()
        outcomes.entered("request", len(self._wanted))
        for name in sorted(self._wanted):
            if name in self._rows:
                self._report_row(name, self._rows[name], outcomes)
                usage.add(self._rows[name], name in self._own)
            elif name in self._deferred:
                outcomes.deferred("request", self._deferred[name], id=name)
                if self._deferred[name] == "batch":
                    outcomes.row("batch_requests", _waiting(self._wanted[name]))
            else:
                fault = self._faults[name]
                error, tries = fault["error"], fault.get("tries")
                reason = error.partition(":")[0]
                if reason == "image_unreadable":
                    outcomes.rejected("request", reason, id=name, detail=error)
                    continue
                detail = f"{error}, {tries} tries" if tries else error
                outcomes.failed("request", reason, id=name, detail=detail)
        return usage

    def _report_row(self, name: str, row: Row, outcomes: Outcomes) -> None:
        if row["error"] is not None:
            outcomes.rejected("request", row["error"].partition(":")[0], id=name, detail=row["error"])
        elif not (row["text"] or "").strip():
            outcomes.rejected("request", "empty_answer", id=name, detail=row["finish_reason"])
        else:
            outcomes.row("generations", row)
            outcomes.kept("request")


def _refused(error: str) -> bool:
    """Whether an error is the request's own fault: asking again would give it again."""
    reason = error.partition(":")[0]
    return reason in _OWN_FAULTS or reason in {f"http_{status}" for status in OWN_STATUSES}


def _row(request: Request, given: Mapping[str, Any], writer: InstructionWriter) -> Row:
    model, parameters = f"{writer.name} ({writer.revision})", canonical_json(request.parameters)
    return answered_row(_about(request), model, parameters, given)


def answered_row(asked: Mapping[str, Any], model: str, parameters: str, given: Mapping[str, Any]) -> Row:
    """A row of `generations`: of what was asked, the columns that `batch_requests` has as well; the model with its
    revision; parameters as canonical JSON; and an answer as `schemas.protocols.InstructionWriter` gives it."""
    return {
        **{name: asked[name] for name in ("request_id", "follows", "prompt", "messages")},
        "image_ids": list(asked["image_ids"] or ()),
        "model": model,
        "parameters": parameters,
        "text": _storable(given["text"]),
        "finish_reason": given["finish_reason"],
        "error": None if given["error"] is None else str(given["error"]),
        "prompt_tokens": given.get("prompt_tokens"),
        "completion_tokens": given.get("completion_tokens"),
    }


def _waiting(request: Request) -> Row:
    """A row of `batch_requests`: where others sort, the keys of its schema stay in the order of the answer."""
    parameters = json.dumps(dict(request.parameters), ensure_ascii=False)
    return {**_about(request), "model": request.model, "parameters": parameters}


def _about(request: Request) -> Row:
    return {
        "request_id": request.request_id,
        "follows": request.follows,
        "prompt": f"{request.prompt}@{request.version}",
        "messages": canonical(request),
        "image_ids": list(request.image_ids),
    }


def _storable(text: str | None) -> str | None:
    """Without halves of surrogate pairs, which JSON may hold and UTF-8 may not."""
    return None if text is None else text[:_MAX_TEXT].encode("utf-8", "ignore").decode()
