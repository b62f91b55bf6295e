"""Queries of several turns: how they are named, and composed one after another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evaluation.composed_queries import Weights, compose
from evaluation.embeddings import CONTROLS, Embeddings, shown
from evaluation.ranking import Similarity
from schemas.errors import ConfigurationError

#: Composers whose result may stand for an image in the next turn.
FOLDING = ("weighted-sum", "slerp")


def turn_id(chain_id: str, turn: int) -> str:
    """Id of the query of a turn, counted from 1."""
    return f"{chain_id}/{turn}"


def compose_turns(
    embeddings: Embeddings, composer: str, weights: Weights, similarity: Similarity | None
) -> tuple[Embeddings, Similarity | None]:
    """Like `compose`, but turn by turn: what a turn's text is composed with is the query of the turn before, of a first
    turn the image half (n, d). The text half of each turn is that of its own text.

    Raises ConfigurationError for other composers than `FOLDING`, missing arrays, ids that are no turns, and turns
    without the one before."""
    if composer not in FOLDING:
        raise ConfigurationError(f"--turn-by-turn needs the composer {' or '.join(FOLDING)}: {composer} does not fold.")
    image = CONTROLS["query_image_embeddings"]
    if not embeddings.controls.keys() >= set(CONTROLS.values()):
        # It says which arrays are missing.
        return compose(embeddings, composer, weights, similarity)
    queries = np.zeros(embeddings.controls[image].shape, np.float32)
    for rows, before in _by_turn(embeddings.query_ids):
        controls = {name: vectors[rows] for name, vectors in embeddings.controls.items()}
        if before:
            controls[image] = queries[before]
        ids = tuple(embeddings.query_ids[row] for row in rows)
        part = Embeddings(ids, controls[image], embeddings.gallery_ids, embeddings.gallery, controls)
        queries[rows] = compose(part, composer, weights, similarity)[0].queries
    return replace(embeddings, queries=queries), similarity


def _by_turn(query_ids: Sequence[str]) -> list[tuple[list[int], list[int]]]:
    """The rows of each turn in order, with the rows of the turns before them (none for the first)."""
    places = {one: row for row, one in enumerate(query_ids)}
    turns: dict[int, list[tuple[str, int]]] = defaultdict(list)
    odd = []
    for row, one in enumerate(query_ids):
        chain, _, digits = one.rpartition("/")
        turn = int(digits) if digits.isdecimal() else 0
        if turn_id(chain, turn) != one or turn < 1 or (turn > 1 and turn_id(chain, turn - 1) not in places):
            odd.append(one)
        else:
            turns[turn].append((chain, row))
    if odd:
        raise ConfigurationError(f"--turn-by-turn needs ids CHAIN/TURN with every turn from 1 on: not so {shown(odd)}.")
    return [
        ([row for _, row in turns[turn]], [places[turn_id(chain, turn - 1)] for chain, _ in turns[turn] if turn > 1])
        for turn in sorted(turns)
    ]
