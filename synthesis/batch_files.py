"""Batch files: requests as the lines that the OpenAI Batch API and vLLM's `run-batch` read, and results from theirs.

The published rules: a line is `{"custom_id", "method", "url", "body"}`; custom ids are unique; one file has one model,
at most 50,000 requests and 200 MB. A result is `{"id", "custom_id", "response", "error"}`, `response` being
`{"status_code", "request_id", "body"}` or null; results come in any order, and those that went wrong may come in a
file of their own. Where they differ: vLLM writes a refusal's reason into `error` and leaves `body` null, OpenAI writes
it into `body`, and into `error` only what never reached the model (`batch_expired`, `batch_cancelled`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from schemas.ids import canonical_json, digest
from synthesis.asking import OWN_STATUSES, answered_row
from synthesis.writers.openai_body import Structured, body_of, read_answer

METHOD, URL = "POST", "/v1/chat/completions"
MAX_REQUESTS = 50_000
MAX_BYTES = 200_000_000
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,40}")
#: Whichever of several results to one request is good, before one that is not.
_RANKS = {"answered": 0, "refused": 1, "failed": 2}

Outcome = Literal["answered", "refused", "failed", "broken"]


@dataclass(frozen=True)
class Limits:
    """What one file may hold."""

    requests: int = MAX_REQUESTS
    bytes: int = MAX_BYTES


def batch_line(row: Mapping[str, Any], images: Sequence[bytes], structured: Structured) -> bytes:
    """A row of `batch_requests` as a line, with its end. `images`: an encoded file for each of its image ids."""
    parameters = json.loads(row["parameters"])
    # No batch API knows GBNF, and OpenAI's refuses what it does not know.
    parameters.pop("grammar", None)
    request = {
        "prompt": row["prompt"].rpartition("@")[0],
        "messages": json.loads(row["messages"]),
        "parameters": parameters,
        "images": list(images),
    }
    head = {"custom_id": row["request_id"], "method": METHOD, "url": URL}
    begin = json.dumps(head, separators=(",", ":")).encode()[:-1]
    return begin + b',"body":' + body_of(request, row["model"], structured) + b"}\n"


class Files:
    """Deals lines out to files: one model a file, within the limits, names by model and number."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._numbers: Counter[str] = Counter()
        self._requests: dict[str, int] = {}
        self._bytes: dict[str, int] = {}

    def place(self, model: str, line: bytes) -> str | None:
        """The name of the file that a line goes into, behind what is in it; None for one that fits in no file."""
        if len(line) > self._limits.bytes or self._limits.requests < 1:
            return None
        full = self._requests.get(model, 0) >= self._limits.requests
        if model not in self._requests or full or self._bytes[model] + len(line) > self._limits.bytes:
            self._numbers[model] += 1
            self._requests[model] = self._bytes[model] = 0
        self._requests[model] += 1
        self._bytes[model] += len(line)
        return f"{_file_name(model)}-{self._numbers[model]:05d}.jsonl"


def _file_name(model: str) -> str:
    """A name that no other model has, on disks that do not tell capitals apart too."""
    short = _NOT_IN_A_NAME.sub("-", model).strip("-.")[:80]
    return f"{short or 'model'}-{digest('model', model)[:8]}"


@dataclass(frozen=True)
class Result:
    """What a line of results says of a request: `fields` of an answer, or the `reason` why there is none.

    `refused`: the request's own fault, `http_STATUS`. `failed`: what may go well another time. `broken`: a line that is
    no result at all (`no_json`, `no_custom_id`, `no_result`).
    """

    custom_id: str
    outcome: Outcome
    reason: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def read_result(line: bytes) -> Result:
    """A line of a file of results or of errors, as OpenAI or vLLM write them. Never raises."""
    try:
        data = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return Result("", "broken", "no_json")
    name = data.get("custom_id") if isinstance(data, dict) else None
    if not isinstance(name, str) or not name:
        return Result("", "broken", "no_custom_id")
    response, error = data.get("response"), data.get("error")
    if not isinstance(response, dict):
        if error is None:
            return Result(name, "broken", "no_result")
        return Result(name, "failed", _code(error))
    status, body = response.get("status_code", 200), response.get("body")
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        return Result(name, "failed", "no_status")
    if status == 200 and error is not None and body is None:
        return Result(name, "failed", _code(error))
    if isinstance(error, str) and body is None:
        # vLLM says 400 of whatever went wrong on its side.
        return Result(name, "failed", "batch_error")
    asked = read_answer(status, {}, _bytes(body if body is not None else error), had_form=True)
    if asked.fields is not None:
        return Result(name, "answered", fields=asked.fields)
    if asked.form_refused:
        return Result(name, "failed", "form_refused")
    return Result(name, "refused" if status in OWN_STATUSES else "failed", asked.error)


def _bytes(body: Any) -> bytes:
    try:
        return json.dumps(body).encode()
    except RecursionError:
        return b""


def _code(error: Any) -> str:
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else "batch_error"


@dataclass(frozen=True)
class Place:
    """Where a line stands: number of its file, position and length in bytes."""

    file: int
    offset: int
    length: int


@dataclass
class Results:
    """The results of several files by custom id, the first good one of each; `counts` of what was read: `lines`,
    `doubled` (lines beyond the first of a request) and broken ones by their reason."""

    found: dict[str, tuple[int, Place]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, place: Place, line: bytes) -> None:
        """See one line. Files are read one after the other: of two results that are alike good the first stands."""
        if not line.strip():
            return
        self.counts["lines"] += 1
        result = read_result(line)
        if result.outcome == "broken":
            self.counts[f"broken: {result.reason}"] += 1
            return
        rank = _RANKS[result.outcome]
        standing = self.found.get(result.custom_id)
        if standing is not None:
            self.counts["doubled"] += 1
        if standing is None or rank < standing[0]:
            self.found[result.custom_id] = (rank, place)


def places_of(lines: Iterable[bytes], file: int) -> Iterator[tuple[Place, bytes]]:
    """The lines of a file with where they stand."""
    offset = 0
    for line in lines:
        yield Place(file, offset, len(line)), line
        offset += len(line)


def generation_row(row: Mapping[str, Any], result: Result, revision: str) -> dict[str, Any]:
    """A row of `generations`, as one that was answered by an endpoint, from a row of `batch_requests`."""
    answered = result.outcome == "answered"
    names = ("text", "finish_reason", "prompt_tokens", "completion_tokens")
    given = {name: result.fields[name] if answered else None for name in names}
    given["error"] = None if answered else result.reason
    return answered_row(row, f"{row['model']} ({revision})", canonical_json(json.loads(row["parameters"])), given)
