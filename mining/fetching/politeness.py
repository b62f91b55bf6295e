"""How gently a host is asked: pauses between requests, few at once, back-off, and when to leave it alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mining.fetching.config import FetchConfig
from mining.fetching.verdicts import PostponedError, StoppedError, Verdict

#: Longest wait without a sign of life to the supervisor, seconds.
_HEARTBEAT = 5.0
#: Weight of the newest exchange in the running mean of a host's seconds per exchange.
_PACE_WEIGHT = 0.2


class HostGate:
    """The one door to a host within a bucket. Every request passes `enter` and `leave`; used by many threads."""

    def __init__(self, config: FetchConfig, heartbeat: Callable[[], None]) -> None:
        self._config, self.heartbeat = config, heartbeat
        self._condition = threading.Condition()
        # One at a time until the host's robots.txt has been read: it may ask for that.
        self._interval, self._concurrency = config.host_interval, 1
        self._next_start = 0.0
        self._in_flight = self._waiting = 0
        self._failures = self._throttles = 0
        self._pace = 0.0
        self._first_contact: float | None = None
        self._closed: Verdict | None = None

    @property
    def closed(self) -> Verdict | None:
        """The verdict on all that is left of this host, once it is left alone."""
        if self._closed is None and self._first_contact is not None:
            spent = time.monotonic() - self._first_contact
            if spent > self._config.host_seconds:
                self._closed = Verdict("deferred", "host_time_budget", f"{self._config.host_seconds:g} s")
        return self._closed

    @property
    def next_start(self) -> float:
        """When the next request may start, on the monotonic clock."""
        return self._next_start

    @property
    def interval(self) -> float:
        """Seconds that must lie between the starts of two requests."""
        return self._interval

    @property
    def step(self) -> float:
        """Seconds between requests that the host can be expected to sustain."""
        return max(self._interval, self._pace / self._concurrency)

    def enter(self, patience: float, *, queue: bool = False) -> None:
        """Wait for the next start and take it.

        Raises PostponedError when that start is more than `patience` seconds away or, unless `queue` is set, when
        enough threads wait here already; StoppedError when the host is left alone."""
        with self._condition:
            self._check_closed()
            if not queue and self._in_flight >= self._concurrency and self._waiting >= self._concurrency:
                raise PostponedError
            self._waiting += 1
            try:
                while self._in_flight >= self._concurrency:
                    self._condition.wait(_HEARTBEAT)
                    self.heartbeat()
            finally:
                self._waiting -= 1
            self._check_closed()
            now = time.monotonic()
            start = max(now, self._next_start)
            if start - now > patience:
                self._condition.notify()
                raise PostponedError
            self._next_start = start + self._interval
            self._in_flight += 1
        self.heartbeat()
        self.sleep_until(start)
        if self._first_contact is None:
            self._first_contact = time.monotonic()

    def again(self) -> None:
        """A further start for a thread that is inside: its own next request to the host."""
        with self._condition:
            start = max(time.monotonic(), self._next_start)
            self._next_start = start + self._interval
        self.heartbeat()
        self.sleep_until(start)

    def leave(self, seconds: float | None) -> None:
        """Out again, after an exchange of so many seconds (None if there was none)."""
        with self._condition:
            if seconds is not None:
                self._pace += _PACE_WEIGHT * (seconds - self._pace)
            self._in_flight -= 1
            self._condition.notify()

    def admit(self, crawl_delay: float | None) -> None:
        """robots.txt was read: open the gate to as many as are configured or, where it states a Crawl-delay, to one
        at a time and so many seconds apart, up to the cap."""
        with self._condition:
            delay = min(crawl_delay or 0.0, self._config.crawl_delay_cap)
            if delay > self._interval:
                self._next_start += delay - self._interval
                self._interval, self._concurrency = delay, 1
            elif self._interval <= self._config.host_interval:
                self._concurrency = self._config.host_concurrency
            self._condition.notify_all()

    def answered(self) -> None:
        """The host gave an answer that is no call for a pause."""
        self._failures = self._throttles = 0

    def unreachable(self) -> None:
        """The host gave no answer at all; after too many in a row it is left alone."""
        with self._condition:
            self._failures += 1
            if self._failures >= self._config.host_failures:
                detail = f"{self._failures} time-outs or refused connections in a row"
                self._closed = Verdict("failed", "host_unreachable", detail)

    def back_off(self, retry_after: float | None) -> bool:
        """Pause for all requests to the host. False when it asks for more than we wait: then it is left alone."""
        with self._condition:
            pause = self._config.backoff_seconds * 2 ** min(self._throttles, 20)
            pause = min(pause, self._config.max_backoff) if retry_after is None else retry_after
            self._throttles += 1
            if pause > self._config.max_backoff:
                self._closed = Verdict("deferred", "host_backing_off", f"it asks for a pause of {pause:g} s")
                return False
            self._next_start = max(self._next_start, time.monotonic() + pause)
            return True

    def sleep_until(self, moment: float) -> None:
        """Sleep until a moment of the monotonic clock, with signs of life."""
        while (left := moment - time.monotonic()) > 0:
            time.sleep(min(left, _HEARTBEAT))
            self.heartbeat()

    def _check_closed(self) -> None:
        if (verdict := self.closed) is not None:
            raise StoppedError(verdict)


class Gates:
    """The gates of a bucket's hosts, each made when it is first asked for."""

    def __init__(self, config: FetchConfig, heartbeat: Callable[[], None]) -> None:
        self._config, self._heartbeat = config, heartbeat
        self._lock = threading.Lock()
        self._gates: dict[str, HostGate] = {}

    def of(self, authority: str) -> HostGate:
        """The gate of a host (with its port unless that is the scheme's own)."""
        with self._lock:
            gate = self._gates.get(authority)
            if gate is None:
                gate = self._gates[authority] = HostGate(self._config, self._heartbeat)
            return gate
