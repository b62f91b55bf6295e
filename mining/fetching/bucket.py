"""All addresses of one bucket of hosts, from asking to reporting."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.error import URLError

from mining.fetching.address_policy import Resolver, system_resolver
from mining.fetching.addresses import Address, address_id, read_address
from mining.fetching.config import FetchConfig
from mining.fetching.downloader import SandboxOpener, download_pass, installed
from mining.fetching.fetcher import Fetcher
from mining.fetching.passes import Task, plan_pass
from mining.fetching.politeness import Gates
from mining.fetching.spool import Spool
from mining.fetching.verdicts import PostponedError, StoppedError, Verdict
from schemas.outcomes import Outcomes

_LONGEST_KEY = 2000


def fetch_bucket(
    addresses: Sequence[Address],
    config: FetchConfig,
    outcomes: Outcomes,
    mark: Callable[[str], None],
    quarantine: Mapping[str, str],
    scratch: str,
    resolver: Resolver = system_resolver,
) -> None:
    """Fetch the addresses of a bucket of hosts and report each distinct one once, unit `address`, sorted by address.

    A kept address gives one row of table `images` and one `image` out. All addresses of a host belong into one call,
    and one call at a time: limits, budgets and robots.txt are kept here. It installs an opener for the whole process,
    so it runs in a process of its own. `mark` gets the address in hand, often; those in `quarantine` are not asked
    but fail with the reason given there. `scratch` is a local folder that the caller removes once the outcomes are
    safe: a call that died in it is taken up by the next one, which asks for nothing again that had an end, and for
    what was in hand one by one, so that the address that the process died of is the one that `mark` names.

    Rejected: http_4XX, unknown_host, bad_address, address_refused, not_an_image, too_large, bad_encoding, opted_out,
    robots_disallowed, too_many_redirects. Failed: timeout, http_5XX, http_408, http_425, http_429,
    connection_refused, connection_reset, connection_cut, connection_failed, tls_error, bad_response, dns_failure,
    robots_unreachable, host_unreachable, host_backing_off, lost_in_downloader. Deferred: host_budget,
    host_time_budget, host_backing_off.

    Raises OSError when scratch cannot be written, MissingPackageError without img2dataset."""
    urls = sorted({address.url for address in addresses})
    spool = Spool(os.path.join(scratch, "spool"))
    try:
        bucket = _Bucket(urls, config, spool, mark, quarantine, resolver)
        bucket.run(os.path.join(scratch, "img2dataset"))
        _report(urls, bucket, spool, outcomes)
    finally:
        spool.close()


class _Bucket:
    """The tasks of one call and what becomes of them."""

    def __init__(
        self,
        urls: Sequence[str],
        config: FetchConfig,
        spool: Spool,
        mark: Callable[[str], None],
        quarantine: Mapping[str, str],
        resolver: Resolver,
    ) -> None:
        self._config, self._spool, self._mark = config, spool, mark
        self._mark_lock = threading.Lock()
        self._in_hand = ""
        self._gates = Gates(config, self._heartbeat)
        self._fetcher = Fetcher(config, self._gates, resolver)
        self._disk_error: OSError | None = None
        self._passes = 0
        #: Ends that need no asking, by address as written, and the task of every other address.
        self.unasked: dict[str, Verdict] = {}
        self.tasks: dict[str, Task] = {}
        self._by_url: dict[str, Task] = {}
        for url in urls:
            self._enter(url, quarantine)

    def _enter(self, url: str, quarantine: Mapping[str, str]) -> None:
        if (died := quarantine.get(_key(url))) is not None:
            self.unasked[url] = Verdict("failed", died, "the process died over this address")
            return
        try:
            target = read_address(url)
        except StoppedError as stopped:
            self.unasked[url] = stopped.verdict
            return
        task = self._by_url.setdefault(target.url, Task(target))
        task.urls.append(url)
        self.tasks[url] = task

    def run(self, folder: str) -> None:
        """Pass after pass until every task has its verdict in the spool."""
        self._hold_to_budgets()
        pending = [task for task in self._by_url.values() if self._spool.verdict(task.url) is None]
        suspects = [self._by_url[url] for url in self._spool.suspects if url in self._by_url]
        with installed(SandboxOpener(self._open)):
            while pending := self._without_closed_hosts(pending):
                if suspects:
                    suspect = suspects.pop(0)
                    suspect.due = self._gates.of(suspect.target.authority).next_start
                    self._pass([suspect], folder)
                else:
                    self._pass(plan_pass(pending, self._gates), folder)
                pending = [task for task in pending if self._spool.verdict(task.url) is None]
                suspects = [task for task in suspects if self._spool.verdict(task.url) is None]
        self._fetcher.close()

    def _pass(self, planned: Sequence[Task], folder: str) -> None:
        """Have img2dataset go through some tasks once."""
        hosts = len({task.target.authority for task in planned})
        threads = min(self._config.threads, len(planned), 2 * self._config.host_concurrency * hosts)
        for task in planned:
            task.begin_pass()
        download_pass([task.url for task in planned], self._passes % 100_000, threads, folder, self._take)
        self._passes += 1
        if self._disk_error is not None:
            raise self._disk_error
        self._settle_lost(planned)

    def _hold_to_budgets(self) -> None:
        """Defer what is over a host's budget: the addresses with the largest ids."""
        by_host: dict[str, list[Task]] = defaultdict(list)
        for task in self._by_url.values():
            by_host[task.target.authority].append(task)
        for tasks in by_host.values():
            tasks.sort(key=lambda task: address_id(task.url))
            for task in tasks[self._config.host_budget :]:
                self._spool.settle(task.url, Verdict("deferred", "host_budget", f"over {self._config.host_budget}"))

    def _without_closed_hosts(self, tasks: Iterable[Task]) -> list[Task]:
        left = []
        for task in tasks:
            closed = self._gates.of(task.target.authority).closed
            if closed is None:
                left.append(task)
            else:
                self._spool.settle(task.url, closed)
        return left

    def _open(self, url: str) -> bytes:
        """The body of an address, for img2dataset. URLError when it has none, or none yet."""
        task = self._by_url.get(url)
        if task is None:
            raise URLError("not an address of this bucket")
        task.asked = True
        self._heartbeat(task.urls[0])
        self._begin(task)
        self._gates.of(task.target.authority).sleep_until(task.due)
        try:
            verdict, body = self._fetcher.fetch(task.target)
        except PostponedError as error:
            task.answered = True
            raise URLError("postponed") from error
        except StoppedError as stopped:
            self._settle_or_retry(task, stopped)
            task.answered = True
            raise URLError(str(stopped)) from stopped
        task.handed_over = verdict
        return body

    def _settle_or_retry(self, task: Task, stopped: StoppedError) -> None:
        task.attempts += 1
        if not stopped.retryable or task.attempts >= self._config.attempts:
            self._spool.settle(task.url, stopped.verdict)
        elif not stopped.throttled:
            # A throttling host holds back all its addresses at its gate; otherwise only this one waits.
            pause = self._config.backoff_seconds * 2 ** (task.attempts - 1)
            task.not_before = time.monotonic() + min(pause, self._config.max_backoff)

    def _begin(self, task: Task) -> None:
        if task.attempts == 0:
            try:
                self._spool.begin(task.url)
            except OSError as error:
                self._disk_error = error

    def _take(self, url: str, body: bytes | None, message: str | None) -> None:
        """What img2dataset hands its sample writer."""
        task = self._by_url[url]
        task.message = message
        if body is None or task.handed_over is None:
            return
        try:
            self._spool.settle(url, task.handed_over, body)
        except OSError as error:
            # img2dataset swallows exceptions: it is raised again after the pass.
            self._disk_error = error
        task.answered = True

    def _settle_lost(self, planned: Iterable[Task]) -> None:
        """img2dataset swallows exceptions, so an address that it lost, or that we did, is found by looking."""
        for task in planned:
            if not task.answered:
                detail = task.message or ("it was asked for" if task.asked else "it was never asked for")
                self._spool.settle(task.url, Verdict("failed", "lost_in_downloader", detail))

    def _heartbeat(self, url: str | None = None) -> None:
        with self._mark_lock:
            self._in_hand = _key(url) if url else self._in_hand
            self._mark(self._in_hand)


def _key(url: str) -> str:
    """What `mark` and `quarantine` call an address: keys have a limit."""
    return url if len(url) <= _LONGEST_KEY and url.isascii() else address_id(url)


def _report(urls: Sequence[str], bucket: _Bucket, spool: Spool, outcomes: Outcomes) -> None:
    for url in urls:
        outcomes.entered("address")
        task = bucket.tasks.get(url)
        verdict = bucket.unasked[url] if task is None else spool.verdict(task.url)
        assert verdict is not None, "a pass ends with a verdict for every address"
        reason = verdict.reason or ""
        if verdict.outcome == "kept" and task is not None:
            digest, body = spool.image(task.url)
            row = {"image_id": digest, "url": url, "bytes": body, "mime": verdict.mime, "source": "fetched"}
            outcomes.row("images", row | {"opt_out": verdict.opt_out, "crawl_date": None})
            outcomes.kept("address")
            outcomes.out("image")
        elif verdict.outcome == "rejected":
            outcomes.rejected("address", reason, id=address_id(url), url=url, detail=verdict.detail)
        elif verdict.outcome == "failed":
            outcomes.failed("address", reason, id=address_id(url), url=url, detail=verdict.detail)
        else:
            outcomes.deferred("address", reason, id=address_id(url), url=url, detail=verdict.detail)
