"""Native decoding in a child process: what crashes or hangs costs one record, never the job.

The child runs one function for a whole shard or batch and marks each record before it touches it. When it dies by a
signal, or sits on one record longer than the limit, it is started again; a record that killed it `deaths` times while
it was the one in hand is handed over in `quarantine`, and the function reports it as failed. The death of the parent
never counts: nothing of this is stored.
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
from typing import Any

from beam_jobs.supervised_child import HEADER, PAGE_SIZE, read_frame, write_frame
from schemas.errors import RunFailedError

_log = logging.getLogger(__name__)


class ChildLostError(RunFailedError):
    """The child died again and again without a record in hand: the machine's fault, not the input's."""


class SupervisedChild:
    """One child process, started when it is first needed and used for call after call (by one thread at a time)."""

    def __init__(self, deaths: int = 2, seconds_a_record: float = 60.0) -> None:
        self._deaths, self._limit = deaths, seconds_a_record
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        descriptor, self._page_path = tempfile.mkstemp(prefix="lensmith-mark-")
        os.ftruncate(descriptor, PAGE_SIZE)
        self._page = mmap.mmap(descriptor, PAGE_SIZE)
        os.close(descriptor)
        atexit.register(self.close)

    def call(self, target: str, *arguments: Any) -> Any:
        """Run `module:function(*arguments, mark=…, quarantine=…)` in the child and return what it returns."""
        with self._lock:
            return self._call(target, arguments)

    def _call(self, target: str, arguments: tuple[Any, ...]) -> Any:
        deaths: Counter[str] = Counter()
        quarantine: dict[str, str] = {}
        reasons: dict[str, str] = {}
        idle_deaths = 0
        while True:
            answer = self._attempt((target, arguments, quarantine))
            if isinstance(answer, tuple):
                worked, value = answer
                if worked:
                    return value
                raise value
            key = self._marked()
            if not key:
                idle_deaths += 1
                if idle_deaths > 3:
                    raise ChildLostError(f"the child process for {target} died {idle_deaths} times: {answer}.")
                continue
            deaths[key] += 1
            reasons[key] = answer
            _log.warning("child process %s on %r (%d of %d)", answer, key[:200], deaths[key], self._deaths)
            if deaths[key] >= self._deaths:
                quarantine[key] = reasons[key]

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
            command = [sys.executable, "-m", "beam_jobs.supervised_child", self._page_path]
            path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
            environment = os.environ | {"PYTHONPATH": path}
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=1 << 20
            )
        return self._process

    def close(self) -> None:
        """End the child; a later call starts a new one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if os.path.exists(self._page_path) and threading.current_thread() is threading.main_thread():
            os.unlink(self._page_path)


_children = threading.local()


def child(name: str, seconds_a_record: float = 60.0) -> SupervisedChild:
    """The child of this thread for one purpose, started once and kept: workers reuse it from shard to shard."""
    pool: dict[str, SupervisedChild] = _children.__dict__.setdefault("pool", {})
    if name not in pool:
        pool[name] = SupervisedChild(seconds_a_record=seconds_a_record)
    return pool[name]
