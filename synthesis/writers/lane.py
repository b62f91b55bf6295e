"""Between a thread that asks and a thread with an event loop that answers."""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent import futures
from functools import partial
from typing import Any

_Given = Mapping[str, Any]
_Task = asyncio.Task[_Given]


class Lane:
    """Requests that one stream has under way on a loop of another thread. Both sides hand over in heaps: a switch of
    threads for each request would cost more than the request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, answer: Callable[[_Given], Awaitable[_Given]]) -> None:
        self._loop = loop
        self._answer = answer
        self._sent: deque[_Given] = deque()
        self._done: list[tuple[_Given, _Task]] = []
        self._came: queue.SimpleQueue[list[tuple[_Given, _Task]]] = queue.SimpleQueue()
        self._flying: set[_Task] = set()

    def send(self, request: _Given) -> None:
        """Begin to answer it."""
        self._sent.append(request)
        if len(self._sent) == 1:
            self._loop.call_soon_threadsafe(self._begin)

    def came(self, timeout: float) -> Iterator[tuple[_Given, _Given]]:
        """Requests with their answers that came since, within `timeout` seconds. Raises what answering raised."""
        try:
            done = self._came.get(timeout=timeout) if timeout else self._came.get_nowait()
        except queue.Empty:
            return
        for request, task in done:
            yield request, task.result()

    def close(self) -> None:
        """Cancel what is under way."""
        if not self._loop.is_closed():
            # Bounded: where the interpreter ends, the thread may be gone.
            futures.wait([asyncio.run_coroutine_threadsafe(self._cancel(), self._loop)], timeout=5)

    def _begin(self) -> None:
        while self._sent:
            request = self._sent[0]
            task = asyncio.ensure_future(self._answer(request))
            self._flying.add(task)
            task.add_done_callback(partial(self._ended, request))
            # Taken away last: while one is here, `send` knows that this goes on.
            self._sent.popleft()

    def _ended(self, request: _Given, task: _Task) -> None:
        self._flying.discard(task)
        if task.cancelled():
            return
        task.exception()  # Those behind the one that ends the stream are nobody's.
        self._done.append((request, task))
        if len(self._done) == 1:
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        done, self._done = self._done, []
        self._came.put(done)

    async def _cancel(self) -> None:
        for task in tuple(self._flying):
            task.cancel()
        await asyncio.gather(*self._flying, return_exceptions=True)
