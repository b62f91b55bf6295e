"""What the report shows, gathered from tables row by row; nothing here grows with the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from publishing.report.reasons import Reason, find_reasons
from publishing.report.sampling import Sample
from publishing.tombstones import Tombstones

#: Rows of a table, as the caller reads them: table, stage (of `rejected`) and columns in, rows out. Columns that a
#: table lacks are left out.
Rows = Callable[[str, str | None, Sequence[str]], Iterable[Mapping[str, Any]]]
TRIPLETS = 48
_TOP = 12

_TRIPLET_COLUMNS = (
    "triplet_id",
    "instruction",
    "instructions",
    "query_image_id",
    "target_image_id",
    "query_image_url",
    "target_image_url",
    "hard_negatives",
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
    "split",
)


@dataclass
class Histogram:
    """Counts by bin, in the order of the bins, with a title and a word for what is counted. `ranked` bins are names,
    the most frequent first; others are numbers in their order."""

    title: str
    unit: str
    bins: list[tuple[str, int]]
    note: str = ""
    ranked: bool = False

    @property
    def total(self) -> int:
        """Sum of all bins."""
        return sum(count for _, count in self.bins)


@dataclass
class Report:
    """Everything that the page shows. `scores` is what an evaluation wrote and `judgements` what judges said (see
    `publishing.judging`), if there were any; `sampled` says that only a part of a large run's shards was looked at."""

    funnel: Mapping[str, Any]
    run: Mapping[str, Any]
    reasons: list[Reason]
    histograms: list[Histogram]
    triplets: list[Mapping[str, Any]]
    triplet_count: int
    published: bool
    scores: Mapping[str, Any] | None = None
    judgements: Mapping[str, Any] | None = None
    sampled: bool = False


def collect(
    funnel: Mapping[str, Any],
    run: Mapping[str, Any],
    rows: Rows,
    *,
    triplet_table: str = "assigned",
    tombstones: Tombstones | None = None,
    scores: Mapping[str, Any] | None = None,
    judgements: Mapping[str, Any] | None = None,
    sampled: bool = False,
    search: str = "",
) -> Report:
    """Gather a report from a run's tables. `triplet_table` is the latest table of triplets that the run has
    (`assigned`, `verified` or `triplets`); what `tombstones` cover is not shown. `search`: how neighbours were searched
    in the corpus."""
    gone = tombstones or Tombstones()
    triplets: Sample[Mapping[str, Any]] = Sample(TRIPLETS)
    words: Counter[int] = Counter()
    for row in rows(triplet_table, None, _TRIPLET_COLUMNS):
        if gone.covers_triplet(row):
            continue
        left = [one for one in row.get("hard_negatives") or () if one not in gone.image_ids]
        triplets.add(row["triplet_id"], {**row, "hard_negatives": left})
        words[min(30, len(row["instruction"].split()))] += 1
    return Report(
        funnel,
        run,
        find_reasons(funnel, rows, gone),
        [
            *_place_histograms(rows),
            *_pair_histograms(rows, search),
            _numbers("Words of an instruction", "triplets", words, last=30),
            *_page_histograms(rows),
        ],
        triplets.items,
        triplets.seen,
        triplet_table == "assigned",
        scores,
        judgements,
        sampled,
    )


def _place_histograms(rows: Rows) -> list[Histogram]:
    shown: Counter[str] = Counter()
    words: Counter[int] = Counter()
    for row in rows("eligible", None, ("page_id", "text")):
        shown[row["page_id"]] += 1
        words[min(20, len((row["text"] or "").split()))] += 1
    per_page = Counter(min(20, count) for count in shown.values())
    return [
        _numbers("Images of a page that entered pairing", "pages", per_page, last=20),
        _numbers("Words of an image's text", "images", words, last=20),
    ]


def _page_histograms(rows: Rows) -> list[Histogram]:
    languages: Counter[str] = Counter()
    sites: Counter[str] = Counter()
    for row in rows("pages", None, ("language", "site")):
        languages[row["language"] or "unknown"] += 1
        sites[row["site"]] += 1
    return [_top("Languages", "pages", languages), _top("Sites", "pages", sites)]


def _pair_histograms(rows: Rows, search: str) -> list[Histogram]:
    visual: Counter[int] = Counter()
    text: Counter[int] = Counter()
    miners: Counter[str] = Counter()
    untexted = 0
    for row in rows("pairs", None, ("visual_similarity", "text_similarity", "mining")):
        miners[row["mining"].replace("+", " and ")] += 1
        visual[_twentieth(row["visual_similarity"])] += 1
        if row["text_similarity"] is None:
            untexted += 1
        else:
            text[_twentieth(row["text_similarity"])] += 1
    note = f"{untexted:,} more lack a text" if untexted else ""
    return [
        _similarities("Visual similarity of pairs", visual),
        _similarities("Text similarity of pairs", text, note),
        # One miner alone is no distribution.
        *([_top("Pairs by their miners", "pairs", miners, search)] if len(miners) > 1 or search else []),
    ]


def _twentieth(value: float) -> int:
    return min(19, max(0, int(value * 20 + 1e-6)))


def _similarities(title: str, counts: Counter[int], note: str = "") -> Histogram:
    return Histogram(title, "pairs", [(f"{index / 20:.2f}", counts[index]) for index in range(20)], note)


def _numbers(title: str, unit: str, counts: Counter[int], last: int) -> Histogram:
    """Whole numbers up to `last`, which stands for all from there on."""
    top = max(counts, default=0)
    bins = [(str(value), counts[value]) for value in range(min(counts, default=0), top + 1)]
    if bins and top == last:
        bins[-1] = (f"{last}+", bins[-1][1])
    return Histogram(title, unit, bins)


def _top(title: str, unit: str, counts: Counter[str], more: str = "") -> Histogram:
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    rest = sum(count for _, count in ranked[_TOP:])
    note = f"{rest:,} more in {len(ranked) - _TOP:,} others" if rest else ""
    return Histogram(title, unit, ranked[:_TOP], "; ".join(one for one in (note, more) if one), ranked=True)
