"""Verification without a judge: where a text and its query image rank the target among the images of its page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.protocols import Float32Array
from synthesis.alignment import Float64Array, cosines
from synthesis.config import VerifyConfig

#: Scores are rounded before they are compared: their last bits differ between machines.
_DECIMALS = 4


@dataclass(frozen=True)
class PageImages:
    """The images of one page: ids (n), embeddings of their texts float32 (n, d; zeros without a text), sketches as
    float32 (n, s)."""

    ids: tuple[str, ...]
    texts: Float32Array
    sketches: Float32Array

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]], dimension: int) -> PageImages:
        """From rows of `eligible` of one page."""
        texts = np.zeros((len(rows), dimension), np.float32)
        for index, row in enumerate(rows):
            if row["embedding"] is not None:
                texts[index] = np.asarray(row["embedding"], np.float32)
        sketches = np.stack([np.frombuffer(row["sketch"], np.int8).astype(np.float32) for row in rows])
        return cls(tuple(row["image_id"] for row in rows), texts, sketches)


@dataclass(frozen=True)
class Judgement:
    """Ranks of a target among `candidates` images of its page (1, and as many more as score strictly higher), and what
    follows from them."""

    rank_text: int
    rank_query: int
    rank_both: int
    candidates: int
    verdict: str


@dataclass(frozen=True)
class CaptionRank:
    """Rank of a target by a caption that was written for it without a look at it. `low`: in the part of the page that
    fails; `alone`: first, and no other with it."""

    rank: int
    low: bool
    alone: bool


def judge(vector: Float32Array, triplet: Mapping[str, Any], images: PageImages, config: VerifyConfig) -> Judgement:
    """Ranks of the triplet's target by the text's embedding (d), by its query image, and by both; the query image is
    no candidate. Scores are rounded to 4 decimals before they are compared.

    `unchecked`: too few candidates, or a target without a text to compare with; `fail`: ranked low by the text;
    `pass`: first, and alone there, by the text or by both; else `ambiguous`.
    """
    query, target = _ends(triplet, images)
    others = np.arange(len(images.ids)) != query
    by_text = _scores(vector, images.texts)
    by_image = _scores(images.sketches[query], images.sketches)
    both = np.round(config.text_weight * by_text + (1 - config.text_weight) * by_image, _DECIMALS)
    ranks, alone = zip(*(_rank(scores[others], scores[target]) for scores in (by_text, by_image, both)), strict=True)
    count = int(others.sum())
    if count < config.min_candidates or not images.texts[target].any():
        verdict = "unchecked"
    elif ranks[0] > _last_good(count, config):
        verdict = "fail"
    else:
        verdict = "pass" if alone[0] or alone[2] else "ambiguous"
    return Judgement(ranks[0], ranks[1], ranks[2], count, verdict)


def caption_rank(
    vector: Float32Array, images: Float32Array, triplet: Mapping[str, Any], page: PageImages, config: VerifyConfig
) -> CaptionRank | None:
    """Rank of the target by a caption's embedding (d) against vectors of the page's images (n, d): those of their
    texts, or the images' own where one space holds both. None where the page has too few candidates, or nothing is
    known of the target."""
    query, target = _ends(triplet, page)
    others = np.arange(len(page.ids)) != query
    count = int(others.sum())
    if count < config.min_candidates or not images[target].any():
        return None
    scores = _scores(vector, images)
    rank, alone = _rank(scores[others], scores[target])
    return CaptionRank(rank, rank > _last_good(count, config), alone)


def _last_good(count: int, config: VerifyConfig) -> int:
    return math.ceil(config.fail_below * count)


def _ends(triplet: Mapping[str, Any], images: PageImages) -> tuple[int, int]:
    return images.ids.index(triplet["query_image_id"]), images.ids.index(triplet["target_image_id"])


def _scores(vector: Float32Array, rows: Float32Array) -> Float64Array:
    """Cosines of a vector (d) with rows (n, d): float64 (n), rounded."""
    found: Float64Array = np.round(cosines(vector[None], rows), _DECIMALS)
    return found


def _rank(others: Float64Array, score: float) -> tuple[int, bool]:
    """Rank of a score among others, itself among them, and whether it is alone at it or above."""
    return 1 + int((others > score).sum()), int((others >= score).sum()) == 1
