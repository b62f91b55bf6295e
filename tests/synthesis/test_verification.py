import numpy as np
import pytest

from schemas.ids import triplet_id
from schemas.outcomes import CollectedOutcomes
from synthesis.config import VerifyConfig
from synthesis.verification import PageImages, fail_page, judge, verify_page

# Texts of images at angles on a circle; the text of a query lies at an angle too: cosines are plain.
DEGREES = {"q": 0, "t": 10, "a": 40, "b": 80, "c": 120}


def at(degrees):
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


class Circle:
    """A text model: a text is its angle."""

    name, revision, dimension = "circle", "1", 2

    def __init__(self):
        self.calls = []

    def encode(self, texts):
        self.calls.append(list(texts))
        return np.stack([at(float(text.rsplit(" ", 1)[-1])) for text in texts])


def images(texts=DEGREES, looks=None):
    looks = looks or dict.fromkeys(texts, 0)
    rows = [
        {
            "image_id": name,
            "embedding": None if degrees is None else at(degrees),
            "sketch": np.round(100 * at(looks[name])).astype(np.int8).tobytes(),
        }
        for name, degrees in texts.items()
    ]
    return PageImages.from_rows(rows, 2)


def triplet(*texts, query="q", target="t"):
    instructions = [{"text": text, "verdict": "unchecked"} for text in texts]
    names = {"pair_id": "pair", "triplet_id": "old", "page_url": "http://x/"}
    return (
        names
        | {"query_image_id": query, "target_image_id": target}
        | {"instruction": texts[0], "instructions": instructions}
    )


def judged(degrees, **more):
    found = more.pop("images", None) or images()
    one = judge(at(degrees), triplet("x", **more.pop("ends", {})), found, VerifyConfig(**more))
    return (one.rank_text, one.rank_query, one.rank_both, one.candidates, one.verdict)


def test_ranks_by_text_worked_by_hand():
    # Distances of the text at 30°: t 20, a 10, b 50, c 90 → second; all look the same.
    assert judged(30, text_weight=1.0) == (2, 1, 2, 4, "ambiguous")
    # At 10° it is on the target; at 100° the target is last of four: beyond the half.
    assert judged(10) == (1, 1, 1, 4, "pass")
    assert judged(100)[0] == 4
    assert judged(100)[4] == "fail"


def test_the_query_image_is_no_candidate():
    # At -20° the query's own text (0°) is nearest.
    assert judged(-20) == (1, 1, 1, 4, "pass")


def test_ranks_by_look_and_by_both_worked_by_hand():
    looks = {"q": 0, "t": 60, "a": 10, "b": 90, "c": 50}
    found = images(looks=looks)
    # By look, nearest to q: a 10, c 50, t 60, b 90 → t is third.
    # Text at 20°: t and a are at 10 and 20: cosines t .985, a .940, b .5, c -.174.
    # Both: t (.985+.5)/2 = .742, a (.940+.985)/2 = .962, b .25, c (-.174+.643)/2 = .235 → second.
    assert judged(20, images=found) == (1, 3, 2, 4, "pass")
    # With the text alone counting, both is the text's rank.
    assert judged(20, images=found, text_weight=1.0)[2] == 1
    assert judged(20, images=found, text_weight=0.0)[2] == 3


def test_a_tie_at_the_first_place_does_not_pass():
    twins = images(DEGREES | {"a": 10})
    assert judged(10, images=twins) == (1, 1, 1, 4, "ambiguous")
    # Looks may tell twins apart.
    looks = {"q": 0, "t": 20, "a": 80, "b": 90, "c": 90}
    assert judged(10, images=images(DEGREES | {"a": 10}, looks)) == (1, 1, 1, 4, "pass")


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.25, "fail"), (0.26, "ambiguous"), (0.5, "ambiguous"), (1.0, "ambiguous")]
)
def test_the_part_that_fails_is_a_setting(share, verdict):
    # Rank 2 of 4 with everything looking alike.
    assert judged(30, fail_below=share, text_weight=1.0)[4] == verdict


def test_too_few_candidates_or_no_text_are_unchecked():
    assert judged(100, min_candidates=5)[4] == "unchecked"
    assert judged(100, images=images(DEGREES | {"t": None}))[4] == "unchecked"
    # Others without texts count as candidates that no text is near.
    assert judged(10, images=images(DEGREES | {"a": None, "b": None}))[4] == "pass"


def test_texts_are_dropped_and_the_best_verdict_leads():
    outcomes, encoder = CollectedOutcomes(), Circle()
    rows = [triplet("far 100", "near 30", "on 10"), triplet("far 100"), triplet("near 30", "on 10")]
    verify_page(rows, images(), encoder, VerifyConfig(text_weight=1.0), outcomes)
    assert encoder.calls == [["far 100", "near 30", "on 10"]]
    first, last = outcomes.rows("verified")
    assert [(one["text"], one["verdict"]) for one in first["instructions"]] == [
        ("on 10", "pass"),
        ("near 30", "ambiguous"),
    ]
    assert (first["instruction"], first["verdict"]) == ("on 10", "pass")
    assert first["triplet_id"] == triplet_id("pair", "on 10")
    assert (first["rank_text"], first["rank_query"], first["rank_both"], first["candidates"]) == (1, 1, 1, 4)
    assert last["instruction"] == "on 10"
    units = outcomes.counts.units
    assert (units["text"].entered, units["text"].kept, dict(units["text"].rejected)) == (6, 4, {"target_ranked_low": 2})
    assert (units["triplet"].kept, dict(units["triplet"].rejected)) == (2, {"target_ranked_low": 1})
    assert not outcomes.counts.unbalanced()
    assert outcomes.counts.made["triplet"] == 2


def test_a_page_that_killed_the_model_is_failed():
    outcomes = CollectedOutcomes()
    fail_page([triplet("a 1", "b 2")], "crashed_sigsegv", outcomes)
    assert outcomes.counts.entry("triplet").failed == {"crashed_sigsegv": 1}
    assert outcomes.counts.entry("text").failed == {"crashed_sigsegv": 2}
    assert not outcomes.counts.unbalanced()


def test_one_by_one_and_together_are_the_same_bits():
    from mining.models.minilm import MiniLM

    encoder = MiniLM()
    texts = ["Show it in winter", "See the sepia tone version", "Find an old lighthouse by the sea", "Switch to swirl"]
    together = encoder.encode(texts)
    assert np.array_equal(together, np.stack([encoder.encode([text])[0] for text in texts]))
