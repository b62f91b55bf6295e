import numpy as np
import pytest
from angle_pages import DEGREES, at, images, triplet

from synthesis.config import VerifyConfig
from synthesis.verification.ranks import CaptionRank, caption_rank, judge


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


def captioned(degrees, vectors=None, **more):
    found = images()
    return caption_rank(
        at(degrees), found.texts if vectors is None else vectors, triplet("x"), found, VerifyConfig(**more)
    )


def test_ranks_by_a_written_caption_worked_by_hand():
    # At 12° the target (10°) is nearest; at 30° it is second of four; at 100° it is last.
    assert captioned(12) == CaptionRank(1, low=False, alone=True)
    assert captioned(30) == CaptionRank(2, low=False, alone=False)
    assert captioned(30, fail_below=0.25) == CaptionRank(2, low=True, alone=False)
    assert captioned(100) == CaptionRank(4, low=True, alone=False)
    assert captioned(100, min_candidates=5) is None
    # Against other vectors of the same images: q, t, a, b, c.
    looks = np.stack([at(one) for one in (0, 90, 95, 10, 20)])
    assert captioned(100, looks) == CaptionRank(2, low=False, alone=False)
    looks[1] = 0
    assert captioned(100, looks) is None


def test_one_by_one_and_together_are_the_same_bits():
    from mining.models.minilm import MiniLM

    encoder = MiniLM()
    texts = ["Show it in winter", "See the sepia tone version", "Find an old lighthouse by the sea", "Switch to swirl"]
    together = encoder.encode(texts)
    assert np.array_equal(together, np.stack([encoder.encode([text])[0] for text in texts]))
