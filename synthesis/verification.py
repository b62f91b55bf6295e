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


def verify_page(
    triplets: Sequence[Mapping[str, Any]],
    images: PageImages,
    encoder: TextEncoder,
    config: VerifyConfig,
    outcomes: Outcomes,
) -> None:
    """Verify the triplets of one page: units `text` and `triplet`, rows of `verified`.

    A text that ranks its target beyond `fail_below` of the page is dropped (`target_ranked_low`), a triplet without
    any text left likewise. Ranks are 1-based and count images that score strictly higher; they are those of the best
    text that is left.
    """
    for triplet in triplets:
        outcomes.entered("triplet")
        outcomes.entered("text", len(triplet["instructions"]))
        judged = [(text, *_judge(text["text"], triplet, images, encoder, config)) for text in triplet["instructions"]]
        kept = [(text | {"verdict": verdict}, ranks) for text, ranks, verdict in judged if verdict != "fail"]
        outcomes.kept("text", len(kept))
        for text, ranks, verdict in judged:
            if verdict == "fail":
                detail = f"{text['text']} (rank {ranks[0]} of {ranks[3]})"
                outcomes.rejected("text", "target_ranked_low", id=triplet["triplet_id"], detail=detail)
        if not kept:
            name, url = triplet["triplet_id"], triplet["page_url"]
            outcomes.rejected("triplet", "target_ranked_low", id=name, url=url, detail=triplet["instruction"])
            continue
        best, ranks = kept[0]
        outcomes.row(
            "verified",
            {
                **triplet,
                "triplet_id": triplet_id(triplet["pair_id"], best["text"]),
                "instruction": best["text"],
                "instructions": [text for text, _ in kept],
                "rank_text": ranks[0],
                "rank_query": ranks[1],
                "rank_both": ranks[2],
                "candidates": ranks[3],
                "verdict": best["verdict"],
            },
        )
        outcomes.kept("triplet")
        outcomes.out("triplet")


def _judge(
    text: str, triplet: Mapping[str, Any], images: PageImages, encoder: TextEncoder, config: VerifyConfig
) -> tuple[tuple[int, int, int, int], str]:
    """Ranks by text, by query image and by both, the number of candidates; and the verdict."""
    query, target = images.ids.index(triplet["query_image_id"]), images.ids.index(triplet["target_image_id"])
    others = [index for index in range(len(images.ids)) if index != query]
    by_text = np.round(_cosines(encoder.encode([text])[0], images.texts), 4)
    by_image = np.round(_cosines(images.sketches[query], images.sketches), 4)
    both = np.round(config.text_weight * by_text + (1 - config.text_weight) * by_image, 4)
    ranks = tuple(1 + int((scores[others] > scores[target]).sum()) for scores in (by_text, by_image, both))
    count = len(others)
    if count < config.min_candidates or not images.texts[target].any():
        verdict = "unchecked"
    elif ranks[0] > math.ceil(config.fail_below * count):
        verdict = "fail"
    else:
        verdict = "pass" if ranks[0] == 1 or ranks[2] == 1 else "ambiguous"
    return (ranks[0], ranks[1], ranks[2], count), verdict


def _cosines(vector: Float32Array, rows: Float32Array) -> Float64Array:
    """Cosines in float64 (n); 0 for rows of zeros."""
    left, right = vector.astype(np.float64), rows.astype(np.float64)
    lengths = np.linalg.norm(right, axis=1) * np.linalg.norm(left)
    return (right * left).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
