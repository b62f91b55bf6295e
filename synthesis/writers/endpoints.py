"""Several addresses that serve one model: their load, their health, and which is asked next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from synthesis.writers.http_client import Client

#: Seconds for which an address is left alone after its first failure; each further one doubles them.
_FIRST_REST = 0.5
_LONGEST_REST = 30.0


class RestingError(Exception):
    """Every address asked for a longer pause than the run waits; the message is the error by which the last did."""


class Endpoint:
    """One address. `flying` requests are with it; it rests after failures."""

    def __init__(self, address: str, client: Client) -> None:
        self.address = address
        self.client = client
        self.flying = 0
        #: Whether it ever answered, and whether it takes `response_format`.
        self.answered = False
        self.structured = True
        self.failures = 0
        self.error = ""
        #: Times of the loop: until then it asked for quiet (`Retry-After`), or is avoided after a failure.
        self.quiet_until = 0.0
        self.avoided_until = 0.0
        self.probed = False


class Endpoints:
    """Gives requests to the least loaded healthy address, never more than `limit` to one. For one event loop.

    An address that failed is avoided for a while, then asked by one request; if that goes well it is healthy again.
    Where all have failed, requests go on to them all the same: they pause by themselves. A `Retry-After` holds always.
    """

    def __init__(self, endpoints: Sequence[Endpoint], limit: int, max_wait: float) -> None:
        self.all = tuple(endpoints)
        self._limit = limit
        self._max_wait = max_wait
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[asyncio.Future[Endpoint]] = deque()

    async def take(self) -> Endpoint:
        """A place at an address, to be given back. Raises RestingError."""
        if not self._waiting:
            found = self._best()
            if found is not None:
                return self._given(found)
            self._check_quiet()
        place: asyncio.Future[Endpoint] = self._loop.create_future()
        self._waiting.append(place)
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.give_back(place.result())
            raise

    def give_back(self, endpoint: Endpoint) -> None:
        """The place is free."""
        endpoint.flying -= 1
        endpoint.probed = endpoint.probed and endpoint.flying > 0
        self._hand_out()

    def went_well(self, endpoint: Endpoint) -> None:
        """It answered."""
        if self._loop.time() >= endpoint.avoided_until:
            endpoint.failures = 0

    def failed(self, endpoint: Endpoint, error: str, retry_after: float) -> None:
        """It cannot be reached, or it answered that it cannot serve now; `retry_after` in seconds, 0 without one."""
        now = self._loop.time()
        endpoint.error = error
        # What was in flight together fails together, and counts once.
        if now >= endpoint.avoided_until:
            rest = min(_FIRST_REST * 2**endpoint.failures, _LONGEST_REST, self._max_wait)
            endpoint.failures = min(endpoint.failures + 1, 16)
            endpoint.avoided_until = now + rest
            self._loop.call_later(rest + 0.001, self._hand_out)
        if now + retry_after > endpoint.quiet_until:
            endpoint.quiet_until = now + retry_after
            # A longer one than the run waits as well: who comes later may have to wait for its end alone.
            self._loop.call_later(retry_after + 0.001, self._hand_out)
        self._hand_out()

    def _best(self) -> Endpoint | None:
        now = self._loop.time()
        awake = [one for one in self.all if now >= one.quiet_until]
        free = [one for one in awake if one.flying < self._limit]
        healthy = [one for one in awake if not one.failures]
        if healthy:
            probe = [one for one in free if one.failures and now >= one.avoided_until and not one.probed]
            if probe:
                probe[0].probed = True
                return probe[0]
            free = [one for one in free if not one.failures]
        return min(free, key=lambda one: one.flying, default=None)

    def _given(self, endpoint: Endpoint) -> Endpoint:
        endpoint.flying += 1
        return endpoint

    def _hand_out(self) -> None:
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            found = self._best()
            if found is not None:
                self._waiting.popleft().set_result(self._given(found))
                continue
            try:
                self._check_quiet()
            except RestingError as error:
                self._waiting.popleft().set_exception(RestingError(str(error)))
                continue
            break

    def _check_quiet(self) -> None:
        """Raises RestingError if no address may be asked within `max_wait`."""
        first = min(self.all, key=lambda one: one.quiet_until)
        if first.quiet_until > self._loop.time() + self._max_wait:
            raise RestingError(first.error)
