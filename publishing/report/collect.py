"""What the report shows, gathered from tables row by row; nothing here grows with the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from publishing.report.sampling import Sample

#: Rows of a table, as the caller reads them: table, stage (of `rejected`) and columns in, rows out.
Rows = Callable[[str, str | None, Sequence[str]], Iterable[Mapping[str, Any]]]
TRIPLETS = 48
REASON_SAMPLES = 6
_TOP = 15


@dataclass
class Reason:
    """Why units were dropped in one stage: the count, and a few of them."""

    stage: str
    unit: str
    reason: str
    count: int
    samples: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether it is a failure and no rejection."""
        return self.reason.startswith("error:")


@dataclass
class Histogram:
    """Counts by bin, in the order of the bins, with a title and a word for what is counted."""

    title: str
    unit: str
    bins: list[tuple[str, int]]
    note: str = ""

    @property
    def total(self) -> int:
        """Sum of all bins."""
        return sum(count for _, count in self.bins)


@dataclass
class Report:
    """Everything that the page shows. `scores` is what an evaluation wrote, if there was one."""

    funnel: Mapping[str, Any]
    run: Mapping[str, Any]
    reasons: list[Reason]
    histograms: list[Histogram]
    triplets: list[Mapping[str, Any]]
    triplet_count: int
    scores: Mapping[str, Any] | None = None


def collect(
    funnel: Mapping[str, Any], run: Mapping[str, Any], rows: Rows, scores: Mapping[str, Any] | None = None
) -> Report:
    """Gather a report from a run's tables."""
    triplets: Sample[Mapping[str, Any]] = Sample(TRIPLETS)
    words: Counter[int] = Counter()
    for row in rows("verified", None, _TRIPLET_COLUMNS):
        triplets.add(row["triplet_id"], row)
        words[min(30, len(row["instruction"].split()))] += 1
    return Report(
        funnel,
        run,
        _reasons(funnel, rows),
        [*_page_histograms(rows), *_pair_histograms(rows), _numbers("Words of an instruction", "triplets", words)],
        triplets.items,
        triplets.seen,
        scores,
    )


_TRIPLET_COLUMNS = (
    "triplet_id",
    "instruction",
    "instructions",
    "query_image_id",
    "target_image_id",
    "query_text",
    "target_text",
    "page_title",
    "page_url",
    "visual_similarity",
    "text_similarity",
    "verdict",
    "rank_text",
    "rank_query",
    "rank_both",
    "candidates",
    "license",
)


def _reasons(funnel: Mapping[str, Any], rows: Rows) -> list[Reason]:
    found: dict[tuple[str, str, str], Reason] = {}
    for entry in funnel["stages"]:
        counts = {**entry["rejected"], **{f"error:{name}": count for name, count in entry["failed"].items()}}
        for reason, count in counts.items():
            key = (entry["stage"], entry["unit"], reason)
            found[key] = Reason(*key, count)
    samples: dict[tuple[str, str, str], Sample[Mapping[str, Any]]] = {}
    for stage in dict.fromkeys(key[0] for key in found):
        for row in rows("rejected", stage, ("unit", "id", "url", "reason", "detail")):
            key = (stage, row["unit"], row["reason"])
            if key in found:
                samples.setdefault(key, Sample(REASON_SAMPLES)).add(row["id"], row)
    for key, chosen in samples.items():
        found[key].samples = chosen.items
    return list(found.values())


def _page_histograms(rows: Rows) -> list[Histogram]:
    languages: Counter[str] = Counter()
    sites: Counter[str] = Counter()
    for row in rows("pages", None, ("language", "site")):
        languages[row["language"] or "unknown"] += 1
        sites[row["site"]] += 1
    shown: Counter[str] = Counter(row["page_id"] for row in rows("eligible", None, ("page_id",)))
    per_page = Counter(min(20, count) for count in shown.values())
    return [
        _numbers("Images of a page that entered pairing", "pages", per_page, last="20 +"),
        _top("Languages", "pages", languages),
        _top("Sites", "pages", sites),
    ]


def _pair_histograms(rows: Rows) -> list[Histogram]:
    visual: Counter[int] = Counter()
    text: Counter[int] = Counter()
    untexted = 0
    for row in rows("pairs", None, ("visual_similarity", "text_similarity")):
        visual[_twentieth(row["visual_similarity"])] += 1
        if row["text_similarity"] is None:
            untexted += 1
        else:
            text[_twentieth(row["text_similarity"])] += 1
    note = f"{untexted:,} pairs lack a text" if untexted else ""
    return [_similarities("Visual similarity of pairs", visual), _similarities("Text similarity of pairs", text, note)]


def _twentieth(value: float) -> int:
    return min(19, max(0, int(value * 20 + 1e-6)))


def _similarities(title: str, counts: Counter[int], note: str = "") -> Histogram:
    return Histogram(title, "pairs", [(f"{index / 20:.2f}", counts[index]) for index in range(20)], note)


def _numbers(title: str, unit: str, counts: Counter[int], last: str | None = None) -> Histogram:
    top = max(counts, default=0)
    bins = [(str(value), counts[value]) for value in range(min(counts, default=0), top + 1)]
    if last is not None and bins and top == 20:
        bins[-1] = (last, bins[-1][1])
    return Histogram(title, unit, bins)


def _top(title: str, unit: str, counts: Counter[str]) -> Histogram:
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    bins = ranked[:_TOP]
    rest = sum(count for _, count in ranked[_TOP:])
    note = f"and {len(ranked) - _TOP:,} more with {rest:,} pages" if rest else ""
    return Histogram(title, unit, bins, note)
