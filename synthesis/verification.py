"""Verification without a judge: where a text and its query image rank the target among the images of its page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.ids import triplet_id
from schemas.outcomes import Outcomes
from schemas.protocols import Float32Array, TextEncoder
from synthesis.config import VerifyConfig

Float64Array = npt.NDArray[np.float64]

#: Better verdicts first: the best text of a triplet is the first of the best verdict.
_ORDER = {"pass": 0, "unchecked": 1, "ambiguous": 2}


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


def verify_page(
    triplets: Sequence[Mapping[str, Any]],
    images: PageImages,
    encoder: TextEncoder,
    config: VerifyConfig,
    outcomes: Outcomes,
) -> None:
    """Verify the triplets of one page: units `text` and `triplet`, rows of `verified`.

    A text that ranks its target beyond `fail_below` of the page is dropped (`target_ranked_low`), a triplet without
    any text left likewise. Of the texts that are left those with the better verdict come first; the ranks of a triplet
    are those of the first.
    """
    distinct = sorted({text["text"] for triplet in triplets for text in triplet["instructions"]})
    vectors = dict(zip(distinct, encoder.encode(distinct), strict=True))
    for triplet in triplets:
        outcomes.entered("triplet")
        outcomes.entered("text", len(triplet["instructions"]))
        kept: list[tuple[dict[str, Any], Judgement]] = []
        for text in triplet["instructions"]:
            judged = judge(vectors[text["text"]], triplet, images, config)
            if judged.verdict == "fail":
                detail = f"{text['text']} (rank {judged.rank_text} of {judged.candidates})"
                outcomes.rejected("text", "target_ranked_low", id=triplet["triplet_id"], detail=detail)
            else:
                kept.append((text | {"verdict": judged.verdict}, judged))
        outcomes.kept("text", len(kept))
        if not kept:
            name, url = triplet["triplet_id"], triplet["page_url"]
            outcomes.rejected("triplet", "target_ranked_low", id=name, url=url, detail=triplet["instruction"])
            continue
        kept.sort(key=lambda one: _ORDER[one[1].verdict])
        outcomes.row("verified", _row(triplet, kept))
        outcomes.kept("triplet")
        outcomes.out("triplet")


def fail_page(triplets: Sequence[Mapping[str, Any]], error: str, outcomes: Outcomes) -> None:
    """Report all triplets of a page and their texts as failed: the model's process died on it."""
    for triplet in triplets:
        outcomes.entered("triplet")
        outcomes.failed("triplet", error, id=triplet["triplet_id"], url=triplet["page_url"])
        for text in triplet["instructions"]:
            outcomes.entered("text")
            outcomes.failed("text", error, id=triplet["triplet_id"], detail=text["text"])


def judge(vector: Float32Array, triplet: Mapping[str, Any], images: PageImages, config: VerifyConfig) -> Judgement:
    """Ranks of the triplet's target by the text's embedding (d), by its query image, and by both; the query image is
    no candidate. Scores are rounded to 4 decimals before they are compared.

    `unchecked`: too few candidates, or a target without a text to compare with; `fail`: ranked low by the text;
    `pass`: first, and alone there, by the text or by both; else `ambiguous`.
    """
    query, target = images.ids.index(triplet["query_image_id"]), images.ids.index(triplet["target_image_id"])
    others = np.arange(len(images.ids)) != query
    by_text = np.round(_cosines(vector, images.texts), 4)
    by_image = np.round(_cosines(images.sketches[query], images.sketches), 4)
    both = np.round(config.text_weight * by_text + (1 - config.text_weight) * by_image, 4)
    ranks = [1 + int((scores[others] > scores[target]).sum()) for scores in (by_text, by_image, both)]
    alone = [int((scores[others] >= scores[target]).sum()) == 1 for scores in (by_text, by_image, both)]
    count = int(others.sum())
    if count < config.min_candidates or not images.texts[target].any():
        verdict = "unchecked"
    elif ranks[0] > math.ceil(config.fail_below * count):
        verdict = "fail"
    else:
        verdict = "pass" if alone[0] or alone[2] else "ambiguous"
    return Judgement(ranks[0], ranks[1], ranks[2], count, verdict)


def _row(triplet: Mapping[str, Any], kept: Sequence[tuple[dict[str, Any], Judgement]]) -> dict[str, Any]:
    best, judged = kept[0]
    return {
        **triplet,
        "triplet_id": triplet_id(triplet["pair_id"], best["text"]),
        "instruction": best["text"],
        "instructions": [text for text, _ in kept],
        "rank_text": judged.rank_text,
        "rank_query": judged.rank_query,
        "rank_both": judged.rank_both,
        "candidates": judged.candidates,
        "verdict": judged.verdict,
    }


def _cosines(vector: Float32Array, rows: Float32Array) -> Float64Array:
    """Cosines in float64 (n); 0 for rows of zeros."""
    left, right = vector.astype(np.float64), rows.astype(np.float64)
    lengths = np.linalg.norm(right, axis=1) * np.linalg.norm(left)
    return (right * left).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
