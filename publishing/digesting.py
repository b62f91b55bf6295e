"""A file that is hashed while it is written, on a thread of its own: encoding and writing go on meanwhile."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import IO, Any

#: Blocks on their way; more would only hold memory.
_IN_FLIGHT = 4


class DigestingSink:
    """A binary file being written: `size` counts bytes at once, `digest` (hex SHA-256) is whole after `close`. Meant
    for blocks of a megabyte (put a buffer before it)."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self._state = hashlib.sha256()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="digest")
        self._pending: deque[Future[None]] = deque()
        self.size = 0
        self.closed = False

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the closed file."""
        return self._state.hexdigest()

    def write(self, data: Any) -> int:
        """Write bytes."""
        # pyarrow gives its own copy as `bytes`; anything else might change before the thread gets to it.
        block = data if isinstance(data, bytes) else bytes(data)
        self.size += len(block)
        self._pending.append(self._thread.submit(self._state.update, block))
        self._sink.write(block)
        while len(self._pending) > _IN_FLIGHT:
            self._pending.popleft().result()
        return len(block)

    def tell(self) -> int:
        """Bytes written so far."""
        return self.size

    def flush(self) -> None:
        """Flush the file below."""
        self._sink.flush()

    def readable(self) -> bool:
        """No."""
        return False

    def writable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """No."""
        return False

    def close(self) -> None:
        """Wait for the digest and close the file below; twice is no error."""
        if self.closed:
            return
        self.closed = True
        try:
            while self._pending:
                self._pending.popleft().result()
        finally:
            self._thread.shutdown()
            self._sink.close()

    def __enter__(self) -> DigestingSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
