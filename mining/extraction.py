"""The records of an archive to pages, places and images: what `extract_pages` does with one file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from mining.archives.inputs import ArchiveFile
from mining.archives.read import read_record_at, read_records
from mining.archives.records import Damage, Limits, Mark, Place, Quarantine, Record
from mining.fetching.content_coding import BadCodingError, TooLargeError, decode_content
from mining.fetching.media_type import image_type
from mining.opt_out import OptOutList, joined, response_directives, signals
from mining.pages.page_rows import Capture, PageLimits, named_by, page_rows
from mining.payload_digests import digest_key, digest_of, payload_of
from schemas.ids import image_id
from schemas.outcomes import Outcomes

_HTML = frozenset({"text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"})
_VAGUE = frozenset({None, "application/octet-stream", "binary/octet-stream", "unknown/unknown", "no-type"})
#: Images that browsers show whatever type their server declares.
_UNMISTAKABLE = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "image/avif"})
_CODINGS = frozenset({"content-encoding", "transfer-encoding"})
#: What could be read and is not.
_REFUSED = frozenset({"unsafe_member_name", "decompression_bomb"})
_ROBOTS_BYTES = 512 << 10


class ExtractConfig(BaseModel):
    """Settings of `extract_pages`: the opt-out policy, and the limits of what one record may cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opt_out: Literal["drop", "keep"] = Field(
        default="drop", description="what becomes of what opts out; extraction records the signals in either case"
    )
    user_agent: str = Field(default="LensmithBot", min_length=1, description="our name in robots directives")
    opt_out_list: tuple[str, ...] = Field(
        default=(),
        description="the user's opt-outs: a host with its subdomains, host:port, or how an address begins",
    )
    record_bytes: int = Field(default=64 << 20, gt=0, description="largest record that is read, in bytes")
    body_bytes: int = Field(
        default=64 << 20, gt=0, description="largest body after content decoding, in bytes: what stops bombs"
    )
    html_bytes: int = Field(default=8 << 20, gt=0, description="bytes of a page that are parsed; the rest is left out")
    places: int = Field(default=5000, gt=0, description="pictures of one page that are looked at")
    data_uri_bytes: int = Field(default=1 << 20, gt=0, description="largest image in a data: address, in bytes")

    @property
    def agent(self) -> str:
        """The product token in lower case."""
        return self.user_agent.partition("/")[0].lower()

    @property
    def limits(self) -> Limits:
        """Limits of reading an archive."""
        return Limits(record_bytes=self.record_bytes)


def extract_archive(
    source: ArchiveFile, config: ExtractConfig, outcomes: Outcomes, *, mark: Mark, quarantine: Quarantine
) -> None:
    """Read one archive: units `record`, `page`, `place`, `image`; rows of `pages`, `page_images`, `images`, and of the
    side tables `robots`, `payloads` and `revisits`.

    Records are rejected as `http_STATUS`, `not_http`, `other_media_type`, `empty_body`, `too_large`,
    `bad_content_coding`, members of containers as `unsafe_member_name` and `decompression_bomb`; what cannot be read
    fails as `broken_record`, `broken_member` or `unreadable_archive`. Revisits do not enter here: `resolve_revisits`
    counts them.
    """
    reader = _Reader(config, outcomes, source)
    for record in read_records(source, config.limits, mark, quarantine):
        if isinstance(record, Damage):
            outcomes.entered("record")
            report = outcomes.rejected if record.error in _REFUSED else outcomes.failed
            report("record", record.error, id=record.place.key, detail=record.detail)
        elif record.kind == "revisit":
            reader.revisit(record)
        else:
            reader.record(record)


def resolve_revisits(
    revisits: Iterable[tuple[Mapping[str, Any], Mapping[str, Any] | None]],
    config: ExtractConfig,
    outcomes: Outcomes,
    *,
    mark: Mark,
    quarantine: Quarantine,
) -> None:
    """Rows of `revisits`, each with the row of `payloads` that has its digest: the page or image comes again under the
    revisit's own address and date. Without a payload: rejected `revisit_without_payload`."""
    for revisit, payload in revisits:
        key = revisit["key"]
        if payload is None or key in quarantine:
            outcomes.entered("record")
            if key in quarantine:
                outcomes.failed("record", quarantine[key], id=key, url=revisit["url"])
            else:
                outcomes.rejected("record", "revisit_without_payload", id=key, url=revisit["url"])
            continue
        mark(key)
        place = Place(payload["archive"], payload["member"], payload["offset"], payload["index"])
        held = read_record_at(place, payload["url"], config.limits)
        if held is None:
            outcomes.entered("record")
            outcomes.failed("record", "payload_unreadable", id=key, url=revisit["url"], detail=payload["archive"])
            continue
        source = ArchiveFile(revisit["archive"], "warc", 0, "")
        again = replace(held, kind="response", url=revisit["url"], date=revisit["crawl_date"], status=200)
        if revisit["headers"]:
            # A revisit repeats the headers of its own answer, which may say otherwise by now.
            kept = [one for one in held.headers if one[0].lower() in _CODINGS]
            own = [(one["name"], one["value"]) for one in revisit["headers"] if one["name"].lower() not in _CODINGS]
            again.headers = kept + own
        _Reader(config, outcomes, source, payloads=False).record(again, key)


class _Reader:
    def __init__(self, config: ExtractConfig, outcomes: Outcomes, source: ArchiveFile, payloads: bool = True) -> None:
        self._config, self._outcomes, self._source, self._payloads = config, outcomes, source, payloads
        self._opt_outs = OptOutList(config.opt_out_list)
        self._limits = PageLimits(config.html_bytes, config.places, config.data_uri_bytes)

    def revisit(self, record: Record) -> None:
        """Keep a revisit for the step that knows all payloads."""
        self._outcomes.row(
            "revisits",
            {
                "digest": digest_key(record.payload_digest) or payload_of(record.refers_to or record.url),
                "url": record.url,
                "refers_to": record.refers_to,
                "crawl_date": record.date,
                "headers": [{"name": name, "value": value} for name, value in record.headers],
                "key": record.place.key,
                "archive": record.place.archive,
            },
        )

    def record(self, record: Record, key: str | None = None) -> None:
        """Send a record where it belongs, and count it."""
        key = key or record.place.key
        self._outcomes.entered("record")
        reason, detail = self._fault(record)
        if reason is None and _is_robots(record.url):
            self._robots(record)
        elif reason is None and record.status is not None and record.status != 200:
            reason = f"http_{record.status}"
        elif reason is None:
            reason, detail = self._content(record)
        if reason is not None:
            self._outcomes.rejected("record", reason, id=key, url=record.url or None, detail=detail)
        else:
            self._outcomes.kept("record")

    def _fault(self, record: Record) -> tuple[str | None, str | None]:
        if not record.url.startswith(("http://", "https://")):
            return "not_http", record.url[:100]
        return ("too_large", f"over {self._config.record_bytes} bytes") if record.too_large else (None, None)

    def _content(self, record: Record) -> tuple[str | None, str | None]:
        """The reason for which a record is neither page nor image, with a detail."""
        body = record.body
        codings = record.header_values("content-encoding")
        if codings:
            try:
                body, _ = decode_content(body, codings, self._config.body_bytes)
            except TooLargeError as error:
                return "too_large", str(error)
            except BadCodingError as error:
                # Some crawlers undo the coding and keep the header.
                if image_type(body) is None and not _looks_like_html(body):
                    return "bad_content_coding", str(error)
        if not body:
            return "empty_body", None
        kind = image_type(body)
        vague = record.mime in _VAGUE
        declared = (record.mime or "").startswith("image/")
        if declared or kind in _UNMISTAKABLE or (kind is not None and kind != "image/svg+xml" and vague):
            self._image(record, body, kind)
            return None, None
        if record.mime in _HTML or (vague and _looks_like_html(body)):
            self._page(record, body)
            return None, None
        return "other_media_type", record.mime

    def _image(self, record: Record, body: bytes, kind: str | None) -> None:
        refused = signals(response_directives(record.headers, self._config.agent))
        if named_by(self._opt_outs, record.url):
            refused.add("list")
        self._outcomes.entered("image")
        self._outcomes.row(
            "images",
            {
                "image_id": image_id(body),
                "url": record.url,
                "bytes": body,
                "mime": kind or record.mime,
                "source": "archive",
                "opt_out": joined(refused),
                "crawl_date": record.date,
            },
        )
        self._outcomes.kept("image")
        self._outcomes.out("image")
        self._payload(record, "image")

    def _page(self, record: Record, body: bytes) -> None:
        capture = Capture(record.url, body, record.headers, record.date, self._source.name)
        page_rows(capture, self._config.agent, self._opt_outs, self._limits, self._outcomes)
        self._payload(record, "page")

    def _payload(self, record: Record, kind: str) -> None:
        """Say where a payload lies, for revisits anywhere in the crawl."""
        if not self._payloads:
            return
        place = record.place
        digest = digest_key(record.payload_digest) or digest_of(record.body)
        where = {"archive": place.archive, "member": place.member, "offset": place.offset, "index": place.index}
        self._outcomes.row("payloads", {"digest": digest, "url": record.url, "kind": kind, **where})

    def _robots(self, record: Record) -> None:
        parts = urlsplit(record.url)
        origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()
        row = {"origin": origin, "status": record.status or 200, "body": record.body[:_ROBOTS_BYTES]}
        self._outcomes.row("robots", row | {"crawl_date": record.date})


def _is_robots(url: str) -> bool:
    return url.partition("://")[2].partition("/")[2] == "robots.txt"


def _looks_like_html(body: bytes) -> bool:
    head = body[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in head
