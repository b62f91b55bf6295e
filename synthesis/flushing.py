"""Storing answers beside the one who asks."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from synthesis.config import WriterConfig
from synthesis.store import GenerationStore

Row = dict[str, Any]


class Flusher:
    """Writes answers into a store, every so many of them or seconds, beside the one who asks: a slow disk keeps no
    request waiting. At most one part is being written; whatever ends the asking, what came is stored."""

    def __init__(self, store: GenerationStore, config: WriterConfig) -> None:
        self._store, self._config = store, config
        self._waiting: list[Row] = []
        self._since = time.monotonic()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lensmith-flush")
        self._written: Future[None] | None = None

    def __enter__(self) -> Flusher:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._flush()
            self._settle()
        finally:
            self._pool.shutdown()

    def add(self, row: Row) -> None:
        """An answer."""
        self._waiting.append(row)

    def tick(self) -> None:
        """Write a part if it is time. Raises what the part before it raised."""
        config = self._config
        if len(self._waiting) >= config.flush_answers or time.monotonic() - self._since >= config.flush_seconds:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._settle()
            self._written = self._pool.submit(self._store.add, self._waiting)
            self._waiting = []
        self._since = time.monotonic()

    def _settle(self) -> None:
        if self._written is not None:
            self._written.result()
