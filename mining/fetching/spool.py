"""Verdicts and bodies on local disk until the bucket is reported, so that memory stays small and a process that died
asks for nothing twice."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict

from mining.fetching.verdicts import Verdict
from schemas.ids import image_id

_BODIES, _JOURNAL = "bodies", "verdicts.jsonl"


class Spool:
    """An append-only journal of verdicts by address, with the bodies of the kept ones beside it.

    Opening a folder where an earlier process died takes up what it had finished, and knows what it was at. Used by
    many threads."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self._folder = folder
        self._paths = [os.path.join(folder, name) for name in (_BODIES, _JOURNAL)]
        self._lock = threading.Lock()
        self._verdicts: dict[str, Verdict] = {}
        self._begun: set[str] = set()
        self._places: dict[str, tuple[int, int, str]] = {}
        self._bodies = open(self._paths[0], "a+b")  # noqa: SIM115 - closed by `close`
        self._end = self._bodies.seek(0, os.SEEK_END)
        self._load()
        self._journal = open(self._paths[1], "a", encoding="utf-8")  # noqa: SIM115 - closed by `close`
        # A line that a death cut short must not swallow the next one.
        self._journal.write("\n")

    @property
    def suspects(self) -> list[str]:
        """Addresses that a process before this one was at when it died, sorted."""
        return sorted(self._begun - self._verdicts.keys())

    def begin(self, url: str) -> None:
        """Note that an address is in hand. OSError when the disk is full."""
        with self._lock:
            self._journal.write(json.dumps({"begun": url}) + "\n")
            self._journal.flush()

    def settle(self, url: str, verdict: Verdict, body: bytes = b"") -> None:
        """Store the end of an address; `body` for a kept one. OSError when the disk is full."""
        digest = image_id(body) if verdict.outcome == "kept" else ""
        with self._lock:
            place = (self._end, len(body), digest)
            if digest:
                self._bodies.write(body)
                self._bodies.flush()
                self._end += len(body)
                self._places[url] = place
            self._verdicts[url] = verdict
            self._journal.write(json.dumps({"url": url, "place": place, **asdict(verdict)}) + "\n")
            self._journal.flush()

    def verdict(self, url: str) -> Verdict | None:
        """How an address ended, None if it has not."""
        return self._verdicts.get(url)

    def image(self, url: str) -> tuple[str, bytes]:
        """`image_id` and body of a kept address."""
        offset, length, digest = self._places[url]
        with self._lock:
            self._bodies.seek(offset)
            return digest, self._bodies.read(length)

    def close(self) -> None:
        """Close both files; they stay."""
        self._bodies.close()
        self._journal.close()

    def _load(self) -> None:
        if not os.path.exists(self._paths[1]):
            return
        with open(self._paths[1], encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    continue
                if "begun" in entry:
                    self._begun.add(entry["begun"])
                else:
                    self._take_up(entry)

    def _take_up(self, entry: dict[str, object]) -> None:
        """Believe an entry of an earlier process, unless its body did not reach the disk."""
        url, place = str(entry.pop("url")), entry.pop("place")
        verdict = Verdict(**entry)  # type: ignore[arg-type]
        if verdict.outcome == "kept":
            assert isinstance(place, list)
            offset, length, digest = place
            self._bodies.seek(offset)
            if image_id(self._bodies.read(length)) != digest:
                return
            self._places[url] = (offset, length, digest)
        self._verdicts[url] = verdict
