"""One address from its first request to its verdict: opt-outs, robots.txt, redirects, status, media type."""

from __future__ import annotations

import ssl
import threading
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from mining.fetching.address_policy import AddressPolicy, Resolver
from mining.fetching.addresses import Target, read_address
from mining.fetching.config import FetchConfig
from mining.fetching.exchange import Answer, Client, Limits, exchange
from mining.fetching.media_type import image_type
from mining.fetching.politeness import Gates, HostGate
from mining.fetching.robots import ROBOTS_BYTES, OptOutList, RobotsRules, header_signals
from mining.fetching.verdicts import PostponedError, StoppedError, Verdict, failed, rejected

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Client errors that pass: a time-out of the request, a too early one, too many of them.
_PASSING = frozenset({408, 425, 429})
_THROTTLING = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_ACCEPT_IMAGE = "image/avif,image/webp,image/*,*/*;q=0.5"
_ROBOTS_REDIRECTS = 5
#: How far behind its planned start an address may fall before it is put into the next pass, seconds.
_SLACK = 2.0


@dataclass
class _Stopwatch:
    """Seconds that an address has left for its exchanges; waiting for a host's turn does not count."""

    left: float
    last: float = 0.0

    def deadline(self) -> float:
        return time.monotonic() + self.left

    def spend(self, since: float) -> None:
        self.last = time.monotonic() - since
        self.left -= self.last


@dataclass
class _Robots:
    """What an origin's robots.txt came to: rules (None allows everything), or the end of all its addresses."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    known: bool = False
    rules: RobotsRules | None = None
    stopped: StoppedError | None = None


class Fetcher:
    """Fetches addresses for many threads; one for a bucket, so that each host's robots.txt is asked for once."""

    def __init__(self, config: FetchConfig, gates: Gates, resolver: Resolver) -> None:
        self._config, self._gates = config, gates
        self._policy = AddressPolicy(config.allow_hosts, resolver, config.connect_seconds)
        self._opt_outs = OptOutList(config.opt_out_list)
        self._client = Client(ssl.create_default_context(cafile=config.ca_file))
        self._robots: dict[str, _Robots] = {}
        self._robots_lock = threading.Lock()

    def close(self) -> None:
        """Close the connections that were kept open."""
        self._client.pool.close()

    def fetch(self, target: Target) -> tuple[Verdict, bytes]:
        """The verdict `kept` and the image's bytes.

        Raises StoppedError for every other end, PostponedError when the host has no room now (nothing was asked)."""
        watch = _Stopwatch(self._config.total_seconds)
        signals: set[str] = set()
        for hop in range(self._config.max_redirects + 1):
            self._consult(target, signals)
            answer = self._ask(target, watch, signals, first=hop == 0)
            location = answer.header("location")
            redirected = answer.status in _REDIRECTS and location
            if not redirected and not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                raise rejected(f"http_{answer.status}", _describe(answer))
            signals |= header_signals(answer.headers, self._config.agent)
            if signals and self._config.opt_out == "drop":
                raise rejected("opted_out", ",".join(sorted(signals)))
            if not location or not redirected:
                return _judge(answer, signals)
            target = read_address(_as_utf8(location), base=target)
        raise rejected("too_many_redirects", f"more than {self._config.max_redirects}; the last to {target.url}")

    def _ask(self, target: Target, watch: _Stopwatch, signals: set[str], first: bool) -> Answer:
        """One hop: wait for the host's turn, read its robots.txt if that was not done, ask."""
        gate = self._gates.of(target.authority)
        try:
            endpoints = self._policy.endpoints(target)
        except StoppedError as stopped:
            if stopped.unreachable:
                gate.unreachable()
            raise
        try:
            # A redirect cannot be put off without asking its first address again, so it waits longer.
            gate.enter(_SLACK if first else self._config.max_backoff, queue=not first)
        except PostponedError:
            if first:
                raise
            raise failed("host_backing_off", f"redirected to {target.authority}") from None
        seconds = None
        try:
            asked = self._read_robots(target, gate)
            # Another thread may have read it while this one waited for its turn.
            self._consult(target, signals)
            if asked:
                gate.again()
            since = time.monotonic()
            limits = Limits(watch.deadline(), self._config.connect_seconds, self._config.max_bytes)
            try:
                answer = exchange(target, endpoints, self._config.user_agent, _ACCEPT_IMAGE, limits, self._client)
            finally:
                watch.spend(since)
                seconds = watch.last
        except StoppedError as stopped:
            if stopped.unreachable:
                gate.unreachable()
            raise
        finally:
            gate.leave(seconds)
        self._heed(answer, gate)
        return answer

    def _heed(self, answer: Answer, gate: HostGate) -> None:
        """Raise for statuses that fail; those that ask for a pause get it."""
        if answer.status not in _PASSING and answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            gate.answered()
            return
        error = Verdict("failed", f"http_{answer.status}", _describe(answer))
        if answer.status in _THROTTLING:
            retry_after = _seconds(answer.header("retry-after"))
            waits = gate.back_off(retry_after)
            raise StoppedError(error, retryable=waits, retry_after=retry_after, throttled=True)
        raise StoppedError(error, retryable=True)

    def _consult(self, target: Target, signals: set[str]) -> None:
        """What is known without asking: the user's list, and robots.txt once it was read."""
        if self._opt_outs.names(target.url, target.host, target.authority):
            signals.add("list")
            if self._config.opt_out == "drop":
                raise rejected("opted_out", "list")
        robots = self._robots_of(target)
        if robots.stopped is not None:
            raise StoppedError(robots.stopped.verdict)
        if robots.rules is not None and not robots.rules.allows(target.url):
            signals.add("robots")
            if self._config.opt_out == "drop":
                raise rejected("robots_disallowed", f"{target.origin}/robots.txt")

    def _robots_of(self, target: Target) -> _Robots:
        with self._robots_lock:
            return self._robots.setdefault(target.origin, _Robots())

    def _read_robots(self, target: Target, gate: HostGate) -> bool:
        """Ask for an origin's robots.txt unless that was done; other threads wait here for it. Whether we asked."""
        robots = self._robots_of(target)
        if robots.known:
            return False
        with robots.lock:
            if robots.known:
                return False
            try:
                answer = self._ask_robots(Target(target.scheme, target.host, target.port, "/robots.txt"), gate)
            except StoppedError as stopped:
                robots.stopped = _unreachable(f"{stopped.verdict.reason}: {stopped.verdict.detail}")
            else:
                if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    robots.stopped = _unreachable(_describe(answer))
                elif answer.status == HTTPStatus.TOO_MANY_REQUESTS:
                    # As every 4xx it allows, but not at once.
                    gate.back_off(_seconds(answer.header("retry-after")))
                elif HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                    text = answer.body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
                    robots.rules = RobotsRules(text, self._config.agent)
            robots.known = True
            gate.admit(robots.rules.crawl_delay if robots.rules else None)
            return True

    def _ask_robots(self, target: Target, gate: HostGate) -> Answer:
        """The answer for a robots.txt, after up to five redirects; a sixth redirect is an answer like a missing file.
        A connection that is dropped unanswered gets a second try."""
        limits = Limits(
            time.monotonic() + self._config.total_seconds,
            self._config.connect_seconds,
            ROBOTS_BYTES,
            truncate=True,
        )
        tries = 2 if self._config.attempts > 1 else 1
        for _ in range(_ROBOTS_REDIRECTS + 1):
            gate.heartbeat()
            endpoints = self._policy.endpoints(target)
            for left in reversed(range(tries)):
                try:
                    answer = exchange(
                        target, endpoints, self._config.user_agent, "text/plain,*/*", limits, self._client
                    )
                    break
                except StoppedError as stopped:
                    if not left or stopped.verdict.reason not in ("connection_reset", "connection_cut"):
                        raise
            location = answer.header("location")
            if answer.status not in _REDIRECTS or not location:
                break
            target = read_address(_as_utf8(location), base=target)
        return answer


def _judge(answer: Answer, signals: set[str]) -> tuple[Verdict, bytes]:
    kind = image_type(answer.body)
    if kind is None:
        raise rejected("not_an_image", f"{_describe(answer)}; {len(answer.body)} bytes: {answer.body[:24]!r}")
    return Verdict("kept", mime=kind, opt_out=",".join(sorted(signals)) or None), answer.body


def _unreachable(detail: str) -> StoppedError:
    return StoppedError(Verdict("failed", "robots_unreachable", detail))


def _describe(answer: Answer) -> str:
    return f"HTTP {answer.status}, {(answer.header('content-type') or 'no content type')[:100]}"


def _as_utf8(header: str) -> str:
    """`http.client` reads headers as Latin-1; addresses in them are UTF-8 as often as not."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def _seconds(value: str | None) -> float | None:
    """`Retry-After` in seconds from now: a number, or a date."""
    if value is None:
        return None
    try:
        if value.strip().isdecimal():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
