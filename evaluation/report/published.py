"""Published results, each with its protocol and source, and which of them a result may be set beside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

#: What the protocols are, in the words of the page.
PROTOCOLS: Mapping[tuple[str, str], str] = {
    ("fashioniq", "original"): "gallery of the split file, the reference stays in it",
    ("fashioniq", "val"): "gallery of the candidates and targets alone, without the reference",
    ("fashioniq", "cosmo-full"): "gallery of the split file without the reference, two queries an annotation",
    ("fashioniq", "cosmo-val"): "gallery of candidates and targets without the reference, two queries an annotation",
    ("cirr", "hard"): "recall of target_hard, the reference taken out",
    ("cirr", "soft"): "the best target_soft among the first k, the reference taken out",
    ("dtin", "pic2word"): "share of all positives among the first k",
    ("dtin", "magiclens"): "whether any positive is among the first k",
    ("tuberlin", "voc"): "average precision over the precision envelope",
    ("tuberlin", "plain"): "plain average precision",
    ("tuberlin", "not stated"): "the source does not say which average precision",
}

#: Splits whose numbers come from the benchmark's server.
_SERVED = {("cirr", "test1"), ("circo", "test")}


@dataclass(frozen=True)
class PublishedRow:
    """One row of a paper or page: metrics as ours are named, percent; `source` in full."""

    benchmark: str
    protocol: str
    split: str
    method: str
    backbone: str
    source: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class OtherRows:
    """Rows that share a protocol or split which is not the result's, and the sentence that says so."""

    why: str
    rows: tuple[PublishedRow, ...]


@dataclass(frozen=True)
class Published:
    """Rows with the result's own protocol and split, and those of the benchmark that have another."""

    same: tuple[PublishedRow, ...]
    other: tuple[OtherRows, ...]


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """All rows that the package holds."""
    text = (resources.files("evaluation.report") / "published.json").read_text(encoding="utf-8")
    found = json.loads(text)
    return tuple(PublishedRow(**row | {"source": found["sources"][row["source"]]}) for row in found["rows"])


def published_beside(benchmark: str, protocol: str, split: str) -> Published:
    """The published rows of a benchmark, parted by whether protocol and split are the same.

    A result without a known split (an empty string) has no row of the same protocol."""
    same: list[PublishedRow] = []
    other: dict[tuple[str, str], list[PublishedRow]] = {}
    for row in published_rows():
        if row.benchmark != benchmark:
            continue
        if (row.protocol, row.split) == (protocol, split):
            same.append(row)
        else:
            other.setdefault((row.protocol, row.split), []).append(row)
    return Published(
        tuple(same),
        tuple(OtherRows(_why(benchmark, (protocol, split), key), tuple(rows)) for key, rows in other.items()),
    )


def protocol_words(benchmark: str, protocol: str) -> str:
    """A protocol by name and what it is."""
    about = PROTOCOLS.get((benchmark, protocol))
    return f"{protocol} ({about})" if about else protocol


def _why(benchmark: str, own: tuple[str, str], published: tuple[str, str]) -> str:
    """One sentence: what these rows are, and what the result is instead."""
    parts = []
    if published[0] != own[0]:
        parts.append(
            f"another protocol: {protocol_words(benchmark, published[0])}; this result is "
            f"{protocol_words(benchmark, own[0])}"
        )
    if published[1] != own[1]:
        served = ", scored by the benchmark's server" if (benchmark, published[1]) in _SERVED else ""
        parts.append(f"another split: {published[1]}{served}; this result is {own[1] or 'of an unknown split'}")
    return "These rows have " + "; and ".join(parts) + "."
