"""Native decoding in a child process: what crashes or hangs costs one record, never the job.

The child runs one function for a whole shard or batch and marks each record before it touches it. When it dies by a
signal, or sits on one record longer than the limit, it is started again; a record that killed it `deaths` times, or
stopped it `hangs` times, while it was the one in hand is handed over in `quarantine`, and the function reports it as
failed. The death of the parent never counts: nothing of this is stored, and the child ends with its parent.
"""

from __future__ import annotations

import atexit
import logging
import mmap
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from beam_jobs.supervised_child import HEADER, PAGE_SIZE, read_frame, write_frame
from schemas.errors import RunFailedError

_log = logging.getLogger(__name__)


class ChildLostError(RunFailedError):
    """The child died again and again without a record in hand: the machine's fault, not the input's."""


class SupervisedChild:
    """One child process, started when it is first needed and used for call after call (by one thread at a time)."""

    def __init__(self, deaths: int = 3, hangs: int = 2, seconds_a_record: float = 60.0) -> None:
        self._deaths, self._hangs, self._limit = deaths, hangs, seconds_a_record
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        # A file without a name: nothing of it is left, however this process ends.
        self._file = tempfile.TemporaryFile(prefix="lensmith-mark-")  # noqa: SIM115 - it lives as long as this object
        self._file.write(bytes(PAGE_SIZE))
        self._file.flush()
        self._page = mmap.mmap(self._file.fileno(), PAGE_SIZE)
        atexit.register(self.close)

    def call(self, target: str, *arguments: Any) -> Any:
        """Run `module:function(*arguments, mark=…, quarantine=…)` in the child and return what it returns."""
        with self._lock:
            return self._call(target, arguments)

    def _call(self, target: str, arguments: tuple[Any, ...]) -> Any:
        deaths: Counter[str] = Counter()
        hangs: Counter[str] = Counter()
        quarantine: dict[str, str] = {}
        idle_deaths = 0
        while True:
            answer = self._attempt((target, arguments, quarantine))
            if isinstance(answer, tuple):
                worked, value = answer
                if worked:
                    return value
                raise value
            key = self._marked()
            if not key or key in quarantine:
                idle_deaths += 1
                if idle_deaths > 3:
                    raise ChildLostError(f"the child process for {target} {answer} {idle_deaths} times in a row.")
                continue
            counted, limit = (hangs, self._hangs) if answer == "timed_out" else (deaths, self._deaths)
            counted[key] += 1
            _log.warning("child process %s on %r (%d of %d)", answer, key[:200], counted[key], limit)
            if counted[key] >= limit:
                quarantine[key] = answer

    def _attempt(self, request: tuple[Any, ...]) -> tuple[bool, Any] | str:
        """The child's answer, or a word for how it died."""
        process = self._running()
        self._page[: HEADER.size] = HEADER.pack(0, 0)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            write_frame(process.stdin, pickle.dumps(request, protocol=5))
        except BrokenPipeError:
            return self._buried("crashed")
        hung = False
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            count, since = 0, time.monotonic()
            while not selector.select(timeout=1.0):
                now = HEADER.unpack(self._page[: HEADER.size])[0]
                if now != count:
                    count, since = now, time.monotonic()
                elif count and time.monotonic() - since > self._limit:
                    hung = True
                    process.kill()
                    break
        if not hung and (frame := read_frame(process.stdout)) is not None:
            worked, value = pickle.loads(frame)
            return bool(worked), value
        return self._buried("timed_out" if hung else "crashed")

    def _buried(self, word: str) -> str:
        assert self._process is not None
        status = self._process.wait()
        self._process = None
        if word == "crashed" and status < 0:
            return f"crashed_{signal.Signals(-status).name.lower()}"
        return word

    def _marked(self) -> str:
        count, length = HEADER.unpack(self._page[: HEADER.size])
        return self._page[HEADER.size : HEADER.size + length].decode("utf-8", "replace") if count else ""

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            page = self._file.fileno()
            command = [sys.executable, "-m", "beam_jobs.supervised_child", str(page), str(os.getpid())]
            path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
            environment = os.environ | {"PYTHONPATH": path}
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                bufsize=1 << 20,
                pass_fds=(page,),
            )
        return self._process

    def close(self) -> None:
        """End the child; a later call starts a new one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class ChildPool:
    """Children by purpose, each lent to one call at a time: never more of them than calls at once, whatever threads an
    engine runs them on. A new child ends the idle ones of other purposes, whose models would lie in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[str, list[SupervisedChild]] = {}

    def lend(self, name: str, seconds_a_record: float) -> SupervisedChild:
        """An idle child of this purpose, else a new one."""
        with self._lock:
            if waiting := self._idle.get(name):
                return waiting.pop()
            superseded = [one for other in self._idle.values() for one in other]
            self._idle.clear()
        for one in superseded:
            one.close()
        return SupervisedChild(seconds_a_record=seconds_a_record)

    def take_back(self, name: str, one: SupervisedChild) -> None:
        """A call has ended."""
        with self._lock:
            self._idle.setdefault(name, []).append(one)


_pool = ChildPool()


@dataclass(frozen=True)
class PooledChild:
    """Whatever child of one purpose is free, for the time of a call."""

    name: str
    seconds_a_record: float

    def call(self, target: str, *arguments: Any) -> Any:
        """As `SupervisedChild.call`."""
        one = _pool.lend(self.name, self.seconds_a_record)
        try:
            return one.call(target, *arguments)
        finally:
            _pool.take_back(self.name, one)


def child(name: str, seconds_a_record: float = 60.0) -> PooledChild:
    """A child for one purpose, started when it is called and kept: a process uses it from shard to shard."""
    return PooledChild(name, seconds_a_record)
