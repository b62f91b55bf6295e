"""Files for the test servers of CIRR and CIRCO, checked against the servers' rules before they are written."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.embeddings import Embeddings, shown
from evaluation.ranking import Similarity
from evaluation.score import match, retrieved
from evaluation.task import Task
from schemas.errors import ConfigurationError

_KEPT, _KEPT_OF_SUBSET = 50, 3
#: The CIRR server takes at most 5 MB a file.
_CIRR_BYTES = 5_000_000


@dataclass(frozen=True)
class Submission:
    """One file: what its name ends with, and its content."""

    suffix: str
    content: Mapping[str, Any]

    def text(self) -> str:
        """The file."""
        return json.dumps(self.content, sort_keys=True)


def submissions(task: Task, embeddings: Embeddings, similarity: Similarity | None = None) -> list[Submission]:
    """The checked files of a task. Raises ConfigurationError for a benchmark without server, for embeddings that do
    not fit, and for files that a server would refuse."""
    makers: dict[str, Callable[..., list[Submission]]] = {"cirr": _cirr, "circo": _circo}
    if task.benchmark not in makers:
        raise ConfigurationError(f"{task.benchmark} has no test server: --submission is for cirr and circo.")
    found = makers[task.benchmark](task, embeddings, similarity or task.similarity)
    check(task, found)
    return found


def write_submissions(found: Sequence[Submission], task: Task, path: Path) -> list[Path]:
    """Write into a folder, or under the name that `path` gives if it ends in .json; the paths."""
    first = path.with_suffix("") if path.suffix == ".json" else path / f"{task.benchmark}_{task.split}"
    first.parent.mkdir(parents=True, exist_ok=True)
    written = []
    for one in found:
        file = first.with_name(f"{first.name}{one.suffix}.json")
        file.write_text(one.text(), encoding="utf-8")
        written.append(file)
    return written


def _cirr(task: Task, embeddings: Embeddings, similarity: Similarity) -> list[Submission]:
    whole, subset = task.parts
    matched = match(task, embeddings)
    found = []
    for part, metric, count in ((whole, "recall", _KEPT), (subset, "recall_subset", _KEPT_OF_SUBSET)):
        content = {"version": "rc2", "metric": metric} | dict(retrieved(part, matched, count, similarity))
        found.append(Submission(f"_{metric}", content))
    return found


def _circo(task: Task, embeddings: Embeddings, similarity: Similarity) -> list[Submission]:
    lists = retrieved(task.parts[0], match(task, embeddings), _KEPT, similarity)
    return [Submission("", {query: [int(one) for one in names] for query, names in lists})]


def check(task: Task, found: Sequence[Submission]) -> None:
    """The servers' rules: every query and no other, so many different images of the split each, without the reference
    (CIRR), integers (CIRCO), the head and the size. Raises ConfigurationError that names the queries."""
    for one in found:
        if task.benchmark == "cirr":
            _check_cirr(task, one)
        else:
            _check_lists(task, one.content, _KEPT, set(map(int, task.parts[0].gallery)), len(task.parts[0].gallery))
            if set(one.content) != {str(number) for number in range(len(one.content))}:
                raise ConfigurationError("CIRCO's server wants the keys 0 to n-1: the ids of the file are others.")


def _check_cirr(task: Task, one: Submission) -> None:
    whole, subset = task.parts
    lists = {query: names for query, names in one.content.items() if query not in ("version", "metric")}
    metric = one.content.get("metric")
    if one.content.get("version") != "rc2" or metric not in ("recall", "recall_subset"):
        raise ConfigurationError("CIRR's server wants the version rc2 and the metric recall or recall_subset.")
    if len(one.text()) > _CIRR_BYTES:
        raise ConfigurationError("CIRR's server takes at most 5 MB a file.")
    assert whole.excluded is not None
    assert subset.candidates is not None
    bad = []
    for number, query in enumerate(whole.queries):
        names = set(lists.get(query, ()))
        members = {whole.gallery[item] for item in subset.candidates[number]}
        reference = whole.gallery[whole.excluded[number][0]]
        if reference in names or (metric == "recall_subset" and not names <= members):
            bad.append(query)
    if bad:
        raise ConfigurationError(f"CIRR: lists with the reference, or with images not of the set: {shown(bad)}.")
    kept = _KEPT if metric == "recall" else _KEPT_OF_SUBSET
    _check_lists(task, lists, kept, set(whole.gallery), len(whole.gallery) - 1)


def _check_lists(task: Task, lists: Mapping[str, Sequence[Any]], kept: int, images: set[Any], rankable: int) -> None:
    expected = task.query_ids()
    others = [one for one in (*expected, *lists) if (one in expected) != (one in lists)]
    if others:
        raise ConfigurationError(f"the file must hold every query and no other, it differs in {shown(others)}.")
    length = min(kept, rankable)
    bad = [one for one, names in lists.items() if len(names) != length or len(set(names)) != length]
    bad += [one for one, names in lists.items() if not images.issuperset(names)]
    if bad:
        raise ConfigurationError(f"lists that do not hold {length} different images of the split: {shown(bad)}.")
