"""The child side of `beam_jobs.supervised`: runs one function after another for its parent, and dies with it."""

from __future__ import annotations

import importlib
import mmap
import os
import pickle
import signal
import struct
import sys
from collections.abc import Callable
from typing import IO, Any

from beam_jobs.process_life import die_with_parent

#: Layout of the shared page: a counter of marks, the length of the key, the key.
HEADER = struct.Struct("<QI")
KEY_LIMIT = 2048
PAGE_SIZE = 4096


def read_frame(source: IO[bytes]) -> bytes | None:
    """One length-prefixed frame, None at the end of the stream."""
    head = source.read(8)
    if len(head) < 8:
        return None
    size = int.from_bytes(head, "little")
    body = source.read(size)
    return body if len(body) == size else None


def write_frame(sink: IO[bytes], body: bytes) -> None:
    """Write one length-prefixed frame."""
    sink.write(len(body).to_bytes(8, "little"))
    sink.write(body)
    sink.flush()


def marker(page: mmap.mmap) -> Callable[[str], None]:
    """The function that tells the parent which record is in hand: two writes to shared memory, no system call."""
    count = 0

    def mark(key: str) -> None:
        nonlocal count
        count += 1
        data = key.encode("utf-8", "replace")[:KEY_LIMIT]
        page[HEADER.size : HEADER.size + len(data)] = data
        page[: HEADER.size] = HEADER.pack(count, len(data))

    return mark


def resolve(target: str) -> Callable[..., Any]:
    """`module:function` to the function."""
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def main() -> None:
    """Serve requests from standard input until it ends: arguments are the shared page's descriptor and the parent."""
    die_with_parent(int(sys.argv[2]))
    # Ctrl-C is the parent's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source = sys.stdin.buffer
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Whatever a library prints goes to the log, never into the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    page = mmap.mmap(int(sys.argv[1]), PAGE_SIZE)
    mark = marker(page)
    while (frame := read_frame(source)) is not None:
        target, arguments, quarantine = pickle.loads(frame)
        try:
            answer = (True, resolve(target)(*arguments, mark=mark, quarantine=quarantine))
        except Exception as error:  # noqa: BLE001 - it is raised again in the parent
            answer = (False, _portable(error))
        write_frame(sink, pickle.dumps(answer, protocol=5))


def _portable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except (pickle.PickleError, TypeError, AttributeError):
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    main()
