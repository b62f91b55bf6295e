"""An engine for benchmarks: every job and index step in a fork of its own, one shard after the other, with the
processor seconds, the wall seconds and the peak memory that it took.

Beam's local runner holds every shuffle in memory. Here messages are cut into buckets on disk by a hash of their key, as
a cluster's workers would have them, and one bucket at a time is in memory.
"""

from __future__ import annotations

import marshal
import os
import pickle
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_jobs.index_step import IndexStep, answers_folder, resolve, tell, write_answers
from beam_jobs.shard_job import run_one
from benchmarks.peak_memory import peak_of_this_process

_BLOCK = 1 << 14


@dataclass
class Taken:
    """What jobs or index steps took: processor and wall seconds, the highest peak of resident memory in MB, how many
    shards, and of index steps the messages and their bytes."""

    seconds: float = 0.0
    wall: float = 0.0
    megabytes: float = 0.0
    shards: int = 0
    messages: int = 0
    bytes: int = 0


class BoundedEngine:
    """Runs what a `Session` asks for; `found` holds what each label took, in the order in which they ran."""

    runner, workers = "bounded", 1

    def __init__(self, scratch: Path, buckets: int = 64, profile: Path | None = None) -> None:
        self.found: dict[str, Taken] = {}
        self._scratch, self._buckets, self._profile = scratch, buckets, profile

    def run(self, label: str, transform: Any) -> None:
        """`transform` is a `ShardMap` or an `Exchange`: what they hold is done, without Beam. Raises RuntimeError if
        the fork fails."""

        def work() -> tuple[int, int, int]:
            if hasattr(transform, "shards"):
                for shard in transform.shards:
                    run_one(transform.job, shard)
                return len(transform.shards), 0, 0
            messages = exchange(transform.step, transform.tasks, transform.key, self._scratch, self._buckets)
            return len(transform.tasks), *messages

        self.found[label] = self.measured(label, work)

    def measured(self, label: str, work: Callable[[], tuple[int, int, int]]) -> Taken:
        """Run `work` in a fork; it returns shards, messages and bytes."""
        with tempfile.NamedTemporaryFile(dir=self._scratch) as file:
            child = os.fork()
            if not child:
                self._in_child(label, work, Path(file.name))
            _, status = os.waitpid(child, 0)
            if status:
                raise RuntimeError(f"{label} ended with status {status}")
            taken: Taken = pickle.loads(Path(file.name).read_bytes())
        return taken

    def _in_child(self, label: str, work: Callable[[], tuple[int, int, int]], result: Path) -> None:
        """Never returns."""
        status = 1
        try:
            began, wall = time.process_time(), time.monotonic()
            if self._profile is not None:
                import cProfile

                watch = cProfile.Profile()
                told = watch.runcall(work)
                watch.dump_stats(str(self._profile / f"{label}.prof"))
            else:
                told = work()
            seconds, wall = time.process_time() - began, time.monotonic() - wall
            result.write_bytes(pickle.dumps(Taken(seconds, wall, peak_of_this_process(), *told)))
            status = 0
        finally:
            if status:
                import traceback

                traceback.print_exc()
            os._exit(status)


class WallEngine:
    """Beam's engine with a user's options; `found` holds the wall seconds of each label, and its shards."""

    def __init__(self, beam: Sequence[str]) -> None:
        from lensmith.engine import BeamEngine

        self.found: dict[str, Taken] = {}
        self._beam = BeamEngine(beam)
        self.runner, self.workers = self._beam.runner, self._beam.workers

    def run(self, label: str, transform: Any) -> None:
        """See `Engine`."""
        began = time.monotonic()
        self._beam.run(label, transform)
        shards = len(transform.shards if hasattr(transform, "shards") else transform.tasks)
        self.found[label] = Taken(wall=time.monotonic() - began, shards=shards)
        print(f"{label}: {self.found[label].wall:.1f} s", flush=True)


def exchange(step: IndexStep, tasks: Sequence[Any], key: str, scratch: Path, buckets: int) -> tuple[int, int]:
    """An index step with one bucket in memory at a time; how many messages there were, and their bytes."""
    count = size = 0

    def told() -> Iterator[tuple[str, Any]]:
        nonlocal count, size
        for task in tasks:
            for name, message in tell(step, task):
                count, size = count + 1, size + len(name) + len(message[0]) + len(message[1])
                yield name, (name, message)

    folder = answers_folder(step.name, key)
    with tempfile.TemporaryDirectory(dir=scratch) as here:
        asked = Path(here, "asked")
        asked.mkdir()
        by_key = _spill(told(), Path(here), buckets)
        answers = ((asker, (asker, answer)) for file in by_key for asker, answer in _resolved(step, file))
        for file in _spill(answers, asked, max(1, min(buckets, len(tasks)))):
            by_asker: dict[str, list[tuple[str, bytes]]] = {}
            for asker, answer in _stored(file):
                by_asker.setdefault(asker, []).append(answer)
            for asker in sorted(by_asker):
                write_answers(step.workspace, folder, asker, by_asker.pop(asker))
    return count, size


def _resolved(step: IndexStep, file: Path) -> Iterator[tuple[str, tuple[str, bytes]]]:
    grouped: dict[str, list[tuple[str, bytes]]] = {}
    for name, message in _stored(file):
        grouped.setdefault(name, []).append(message)
    for name in sorted(grouped):
        yield from resolve(step, name, grouped[name])


def _spill(items: Iterable[tuple[str, Any]], folder: Path, buckets: int) -> list[Path]:
    """Write items to a file for each bucket of their keys."""
    files = [folder / f"bucket-{number}" for number in range(buckets)]
    waiting: list[list[Any]] = [[] for _ in files]
    for name, item in items:
        bucket = zlib.crc32(name.encode()) % buckets
        waiting[bucket].append(item)
        if len(waiting[bucket]) >= _BLOCK:
            _append(files[bucket], waiting[bucket])
            waiting[bucket] = []
    for file, rest in zip(files, waiting, strict=True):
        _append(file, rest)
    return files


def _append(file: Path, items: list[Any]) -> None:
    with file.open("ab") as sink:
        marshal.dump(items, sink)


def _stored(file: Path) -> Iterator[Any]:
    size = file.stat().st_size
    with file.open("rb") as source:
        while source.tell() < size:
            yield from marshal.load(source)
