"""A shard job and an index step that count, and engines that run them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_jobs.index_step import Message, answers_folder, resolve, tell, write_answers
from beam_jobs.shard_job import Shard, run_one
from beam_jobs.workspace import Workspace


@dataclass(frozen=True)
class TextsJob:
    """Writes one text a shard, notes that it ran, and fails one unit of shards that `fail` (once a round)."""

    workspace: Workspace
    diary: str
    stage: str = "annotate_images.texts"

    def run(self, shard: Shard, writer: Any) -> None:
        with Path(self.diary).open("a") as sink:
            sink.write(f"{shard.work['text']}\n")
        if shard.work["text"] == "bad":
            raise ValueError("a fault")
        writer.entered("text")
        if shard.work.get("fail") and "previous" not in shard.work:
            writer.failed("text", "time_out", id=shard.work["text"])
            return
        writer.kept("text")
        row = {"text_id": shard.work["text"], "text": shard.work["text"], "embedding": [0.0]}
        writer.row("texts", row)


@dataclass(frozen=True)
class WordsStep:
    """Who says a word, to everyone who says it."""

    workspace: Workspace
    name: str = "words"

    def messages(self, task: tuple[str, str]) -> Iterator[Message]:
        asker, words = task
        for word in sorted(set(words.split())):
            yield word, asker, asker.encode()

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        if len(values) > 1:
            yield from ((one, b",".join(values)) for one in askers)


@dataclass(frozen=True)
class WaitingStep:
    """Each key to the one who tells it; between messages a task waits outside of Python's lock, as reading does."""

    workspace: Workspace
    count: int
    name: str = "waiting"

    def messages(self, task: str) -> Iterator[Message]:
        for number in range(self.count):
            if number % 7 == 0:
                time.sleep(0.0002)
            yield f"{task} {number:06d}", task, b"." * 5000

    def resolve(self, key: str, askers: Sequence[str], values: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
        yield from ((one, values[0]) for one in askers)


class PlainEngine:
    """Runs transforms in a plain loop, whatever the order of shards; notes what it ran."""

    runner = "plain"

    def __init__(self, backwards: bool = False) -> None:
        self.ran: list[str] = []
        self.backwards = backwards

    def run(self, label: str, transform: Any) -> None:
        self.ran.append(label)
        if hasattr(transform, "shards"):
            for shard in self._ordered(transform.shards):
                run_one(transform.job, shard)
            return
        step = transform.step
        by_key: dict[str, list[tuple[str, bytes]]] = {}
        for task in self._ordered(transform.tasks):
            for key, message in tell(step, task):
                by_key.setdefault(key, []).append(message)
        by_asker: dict[str, list[tuple[str, bytes]]] = {}
        for key in self._ordered(by_key):
            for asker, answer in resolve(step, key, by_key[key]):
                by_asker.setdefault(asker, []).append(answer)
        folder = answers_folder(step.name, transform.key)
        for asker, answers in by_asker.items():
            write_answers(step.workspace, folder, asker, answers)

    def _ordered(self, items: Any) -> list[Any]:
        return list(reversed(list(items))) if self.backwards else list(items)


class KilledError(Exception):
    """The engine is no more."""


class DyingEngine(PlainEngine):
    """Dies after so many transforms."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def run(self, label: str, transform: Any) -> None:
        if len(self.ran) == self.after:
            raise KilledError
        super().run(label, transform)
