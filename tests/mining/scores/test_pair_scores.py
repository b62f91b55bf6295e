"""Scores of rows of pairs."""

from __future__ import annotations

import pytest

from mining.models.minilm import MiniLM
from mining.scores.pair_scores import alignment_scores


@pytest.fixture(scope="module")
def minilm():
    return MiniLM(1)


def pair(**values):
    sides = {f"{side}_{name}": None for side in ("query", "target") for name in ("text", "label")}
    return {"query_image_id": "a", "target_image_id": "b", **sides, **values}


def test_what_a_captioner_saw_speaks_for_an_image_before_its_label(minilm):
    row = pair(query_text="a red bicycle on a street", query_label="tabby", target_text="a red bicycle on a street")
    labels = alignment_scores([row], None, minilm)[0]
    captions = alignment_scores([row], None, minilm, {"a": "a bicycle in the road", "b": None})[0]
    assert captions["query_alignment"] > 0.5 > labels["query_alignment"]
    assert captions["target_alignment"] is None
    assert alignment_scores([row], None, minilm, {"a": None, "b": None})[0] == labels
