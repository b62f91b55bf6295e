"""Pairs of images that stand on one page, after MagicLens (arXiv 2403.19651).

Two windows leave pairs that are related and yet differ: one on the images' similarity, one on their texts'. Two caps,
for the page and for each query image, keep rich pages from drowning the rest; what they leave is spread over the page
and over the targets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mining.mine_config import CoOccurrenceConfig
from mining.miners.interface import Pair
from mining.places import EligibleImage, PageRecord
from mining.similarity import cosines, sketch_matrix, text_similarities
from schemas.ids import pair_id
from schemas.outcomes import Outcomes

Float64Array = npt.NDArray[np.float64]
Indices = tuple[int, int]


class CoOccurrence:
    """Ordered pairs of a page's images inside two similarity windows, capped and spread."""

    name = "co_occurrence"

    def __init__(self, config: CoOccurrenceConfig) -> None:
        self._config = config

    def mine(self, page: PageRecord, images: Sequence[EligibleImage], outcomes: Outcomes) -> Iterator[Pair]:
        """Pairs of the page. Reasons of the unit `candidate_pair`: `visually_too_similar`, `visually_unrelated`,
        `texts_too_similar`, `texts_unrelated`, `no_text`, `reversed_direction`, `query_cap`, `page_cap`."""
        count = len(images)
        outcomes.entered("candidate_pair", count * (count - 1))
        sketches = sketch_matrix([image.facts.sketch for image in images])
        visual = cosines(sketches, sketches)
        texts = text_similarities([image.embedding for image in images])
        reasons = _windows(visual, texts, self._config)
        selection = _Selection(images, visual, texts, self._config)
        selection.fill([pair for pair, reason in reasons.items() if reason is None])
        for (query, target), reason in reasons.items():
            if (query, target) in selection.taken:
                continue
            first, second = images[query].image_id, images[target].image_id
            outcomes.rejected(
                "candidate_pair",
                reason or selection.left_because(query, target),
                id=pair_id(page.page_id, first, second),
                url=page.url,
                # The ids come first: the report shows the images of a sample.
                detail=f"{first} {second} visual {visual[query, target]:.4f}, text {texts[query, target]:.4f}",
            )
        outcomes.kept("candidate_pair", len(selection.taken))
        for query, target in selection.taken:
            text = texts[query, target]
            yield Pair(
                page.page_id,
                images[query],
                images[target],
                float(visual[query, target]),
                None if np.isnan(text) else float(text),
            )


def _windows(visual: Float64Array, texts: Float64Array, config: CoOccurrenceConfig) -> dict[Indices, str | None]:
    """For each ordered pair why a window drops it, or None."""
    reasons = np.select(
        [
            visual > config.visual_max,
            visual < config.visual_min,
            texts > config.text_max,
            texts < config.text_min,
            np.isnan(texts) & (config.untexted == "drop"),
        ],
        ["visually_too_similar", "visually_unrelated", "texts_too_similar", "texts_unrelated", "no_text"],
        default="",
    )
    count = len(visual)
    return {
        (query, target): str(reasons[query, target]) or None
        for query in range(count)
        for target in range(count)
        if query != target
    }


@dataclass
class _Selection:
    """Takes pairs in rounds: in each, every query image, in an order spread over the page, gets one more target."""

    images: Sequence[EligibleImage]
    visual: Float64Array
    texts: Float64Array
    config: CoOccurrenceConfig
    taken: dict[Indices, None] = field(default_factory=dict)
    _queries: Counter[int] = field(default_factory=Counter)
    _targets: Counter[int] = field(default_factory=Counter)

    def fill(self, candidates: Sequence[Indices]) -> None:
        """Take pairs until the caps are reached or none is left; those with both texts first, if so configured."""
        if self.config.untexted == "last":
            self._rounds([pair for pair in candidates if not np.isnan(self.texts[pair])])
            self._rounds([pair for pair in candidates if np.isnan(self.texts[pair])])
        else:
            self._rounds(candidates)

    def left_because(self, query: int, target: int) -> str:
        """Why a pair inside the windows was not taken."""
        if self.config.both_directions == "drop" and (target, query) in self.taken:
            return "reversed_direction"
        return "query_cap" if self._queries[query] >= self.config.pairs_per_query else "page_cap"

    def _rounds(self, candidates: Sequence[Indices]) -> None:
        targets: dict[int, list[int]] = {}
        for query, target in candidates:
            targets.setdefault(query, []).append(target)
        order = [query for query in spread_order(len(self.images)) if query in targets]
        for _ in range(self.config.pairs_per_query):
            for query in order:
                open_targets = [target for target in targets[query] if self._is_open(query, target)]
                if open_targets:
                    self._take(query, min(open_targets, key=lambda target: self._preference(query, target)))

    def _is_open(self, query: int, target: int) -> bool:
        if (query, target) in self.taken or self._queries[query] >= self.config.pairs_per_query:
            return False
        directions = self.config.both_directions
        if directions == "drop" and (target, query) in self.taken:
            return False
        if directions == "keep" and self._queries[target] >= self.config.pairs_per_query:
            return False
        return len(self.taken) + (2 if directions == "keep" else 1) <= self.config.pairs_per_page

    def _take(self, query: int, target: int) -> None:
        pairs = [(query, target), (target, query)] if self.config.both_directions == "keep" else [(query, target)]
        for one, other in pairs:
            self.taken[one, other] = None
            self._queries[one] += 1
            self._targets[other] += 1

    def _preference(self, query: int, target: int) -> tuple[int, float, int, str]:
        """Targets that are little used go first, then the most similar, the nearest on the page, the smallest id."""
        text = self.texts[query, target]
        score = float(self.visual[query, target]) + (0.0 if np.isnan(text) else float(text))
        return (self._targets[target], -round(score, 4), abs(query - target), self.images[target].image_id)


def spread_order(count: int) -> list[int]:
    """0…count-1 so that every beginning of the list is spread over the whole range (bit reversal)."""
    bits = max(count - 1, 1).bit_length()
    return sorted(range(count), key=lambda index: int(f"{index:0{bits}b}"[::-1], 2))
