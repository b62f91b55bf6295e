from dataclasses import replace

import numpy as np
import pytest
from angle_pages import Circle, images, triplet, verifying
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ids import triplet_id
from schemas.outcomes import CollectedOutcomes
from synthesis.chain import Answer, Unanswered, Written
from synthesis.tasks.interface import Candidate
from synthesis.verification.chain_verdicts import Rewritten, Said
from synthesis.verification.pages import fail_page, verify_page

PASSED = Said("pass", (0, 0, 1), (2, 0, 1, 3), "image")
AMBIGUOUS = Said("ambiguous", (-1, -1, 0), (2, 0, 1, 3), "image")
FAILED = Said("fail", (1, 1, -2), (2, 0, 1, 3), "image")
SAYS = {"chain": ("verify_image",), "verify": "all", "text_weight": 1.0}


def anew(text):
    written = Written(Candidate(text, length="medium"), "rewrite", Answer("{}", "rewrite@1", "m (r)"))
    return Said("fail", (1, 1, 1), (2, 0, 1, 3), "image", rewritten=Rewritten(written, (0, -3, 0), (0, 1, 2, 3)))


def verified(texts, said, **config):
    """The rows, outcomes and texts of one triplet of which a chain said so much of each text."""
    outcomes = CollectedOutcomes()
    told = {("old", text): one for text, one in zip(texts, said, strict=True) if one is not None}
    verify_page([triplet(*texts)], images(), verifying(said=told, **(SAYS | config)), outcomes)
    assert not outcomes.counts.unbalanced()
    return outcomes


def entries(outcomes):
    units = outcomes.counts.units
    return {
        name: (one.entered, one.kept, dict(one.rejected), dict(one.failed), one.deferred) for name, one in units.items()
    }


def test_texts_are_dropped_and_the_best_verdict_leads():
    outcomes, encoder = CollectedOutcomes(), Circle()
    rows = [triplet("far 100", "near 30", "on 10"), triplet("far 100"), triplet("near 30", "on 10")]
    verify_page(rows, images(), verifying(encoder, text_weight=1.0), outcomes)
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


def test_a_judge_decides_and_ranks_stay_columns():
    # The ranks would fail the first and pass the second.
    outcomes = verified(["far 100", "on 10"], [PASSED, FAILED])
    (row,) = outcomes.rows("verified")
    assert (row["instruction"], row["verdict"], row["rank_text"]) == ("far 100", "pass", 4)
    assert (row["votes"], row["judged_order"], row["judged_by"]) == ([0, 0, 1], [2, 0, 1, 3], "image")
    assert row["distractors"] == ["a", "b", "c"]
    assert row["rewritten_from"] is None
    assert entries(outcomes)["text"] == (2, 1, {"verifier_failed": 1}, {}, 0)
    (rejected,) = outcomes.rows("rejected")
    assert rejected["detail"] == "on 10 (votes 1, 1, -2)"


def test_what_the_judge_said_nothing_of_never_passes():
    outcomes = verified(["on 10", "far 100", "near 30"], [None, Said(), AMBIGUOUS])
    (row,) = outcomes.rows("verified")
    # A text that was judged goes before one that was not.
    assert [(one["text"], one["verdict"]) for one in row["instructions"]] == [
        ("near 30", "ambiguous"),
        ("on 10", "unchecked"),
    ]
    assert entries(outcomes)["text"] == (3, 2, {"target_ranked_low": 1}, {}, 0)


def test_ambiguous_texts_are_dropped_where_that_is_asked():
    assert verified(["near 30"], [AMBIGUOUS]).rows("verified")[0]["verdict"] == "ambiguous"
    outcomes = verified(["near 30"], [AMBIGUOUS], ambiguous="drop")
    assert entries(outcomes)["triplet"] == (1, 0, {"ambiguous": 1}, {}, 0)
    # Ranks say it too.
    assert entries(verified(["near 30"], [None], chain=(), ambiguous="drop"))["text"][2] == {"ambiguous": 1}


def test_ambiguous_texts_may_be_written_anew():
    several = replace(anew("show it at 10"), verdict="ambiguous", votes=(-1, -1, 1))
    assert verified(["near 30"], [several]).rows("verified")[0]["rewritten_from"] is None
    for setting in ("rewrite", "drop"):
        (row,) = verified(["near 30"], [several], ambiguous=setting).rows("verified")
        assert (row["instruction"], row["rewritten_from"]) == ("show it at 10", "near 30")
    # Nothing passed.
    assert verified(["near 30"], [AMBIGUOUS], ambiguous="rewrite").rows("verified")[0]["verdict"] == "ambiguous"


def test_the_text_written_anew_takes_the_place():
    outcomes = verified(["far 100", "near 30"], [anew("show it at 10"), FAILED])
    (row,) = outcomes.rows("verified")
    assert row["instruction"] == "show it at 10"
    assert row["triplet_id"] == triplet_id("pair", "show it at 10")
    assert (row["rewritten_from"], row["verdict"], row["rank_text"]) == ("far 100", "pass", 1)
    assert (row["votes"], row["judged_order"]) == ([0, -3, 0], [0, 1, 2, 3])
    (text,) = row["instructions"]
    assert (text["method"], text["model"], text["prompt"]) == ("rewrite", "m (r)", "rewrite@1")
    assert (text["length"], text["verdict"]) == ("medium", "pass")
    # The failed text leaves, the new one enters.
    assert entries(outcomes)["text"] == (3, 1, {"rewritten": 1, "verifier_failed": 1}, {}, 0)


def test_a_text_written_anew_that_is_there_already_is_one_text():
    outcomes = verified(["far 100", "show it at 10"], [anew("Show it at 10"), PASSED])
    (row,) = outcomes.rows("verified")
    assert [one["text"] for one in row["instructions"]] == ["Show it at 10"]
    assert entries(outcomes)["text"] == (3, 1, {"rewritten": 1, "duplicate": 1}, {}, 0)


def test_where_only_the_best_is_judged_the_others_stand_and_fall_with_it():
    outcomes = verified(["on 10", "near 30", "far 100"], [FAILED, None, None], verify="best")
    assert not outcomes.rows("verified")
    assert entries(outcomes)["text"] == (3, 0, {"verifier_failed": 1, "best_text_failed": 2}, {}, 0)
    assert entries(outcomes)["triplet"] == (1, 0, {"verifier_failed": 1}, {}, 0)
    outcomes = verified(["on 10", "far 100", "near 30"], [PASSED, None, None], verify="best")
    (row,) = outcomes.rows("verified")
    assert [one["verdict"] for one in row["instructions"]] == ["pass", "unchecked"]
    assert entries(outcomes)["text"] == (3, 2, {"target_ranked_low": 1}, {}, 0)
    outcomes = verified(["on 10", "near 30"], [anew("show it at 10"), None], verify="best")
    assert [one["verdict"] for one in outcomes.rows("verified")[0]["instructions"]] == ["pass", "unchecked"]


@pytest.mark.parametrize(("verify", "said_of_others"), [("best", None), ("all", FAILED)])
def test_failed_and_deferred_requests_are_no_verdicts(verify, said_of_others):
    failed = Said(missing=Unanswered("http_500", "failed"))
    outcomes = verified(["on 10", "near 30"], [failed, said_of_others], verify=verify)
    assert entries(outcomes)["triplet"] == (1, 0, {}, {"http_500": 1}, 0)
    deferred = Said("fail", missing=Unanswered("max_requests", "deferred"))
    outcomes = verified(["on 10", "near 30"], [deferred, said_of_others], verify=verify)
    assert entries(outcomes)["triplet"] == (1, 0, {}, {}, 1)
    assert outcomes.rows("deferred")[0]["reason"] == "max_requests"


def test_a_triplet_with_one_good_text_is_kept_whatever_became_of_the_others():
    outcomes = verified(["on 10", "near 30"], [Said(missing=Unanswered("http_500", "failed")), PASSED])
    assert entries(outcomes)["triplet"] == (1, 1, {}, {}, 0)
    assert entries(outcomes)["text"] == (2, 1, {}, {"http_500": 1}, 0)


def test_a_written_caption_that_does_not_find_the_target_fails():
    said = [Said(target_caption="bridge at 12"), Said(target_caption="bridge at 110")]
    outcomes = verified(["near 30", "on 10"], said, chain=("target_caption",))
    (row,) = outcomes.rows("verified")
    # Ranks alone say ambiguous of the first.
    assert (row["instruction"], row["verdict"], row["rank_caption"]) == ("near 30", "pass", 1)
    assert entries(outcomes)["text"] == (2, 1, {"target_ranked_low": 1}, {}, 0)
    # Beside a judge it only fails.
    told = Said("ambiguous", (-1, -1, -1), (0, 1, 2, 3), "image", target_caption="bridge at 12")
    chain = ("verify_image", "target_caption")
    assert verified(["on 10"], [told], chain=chain).rows("verified")[0]["verdict"] == "ambiguous"


def test_in_one_space_captions_are_held_against_images():
    looks = {"q": 0, "t": 60, "a": 10, "b": 90, "c": 50}
    told = {("old", "near 30"): Said(target_caption="bridge at 58")}

    def project(vectors):
        return np.round(100 * vectors).astype(np.int8)

    outcomes = CollectedOutcomes()
    page = images(looks=looks)
    verify_page([triplet("near 30")], page, verifying(said=told, project=project, chain=("target_caption",)), outcomes)
    # By the images 58° is at the target's 60°; by their texts the target (10°) would be second behind a (40°).
    assert outcomes.rows("verified")[0]["rank_caption"] == 1


VERDICTS = st.sampled_from(
    [
        None,
        Said(),
        PASSED,
        AMBIGUOUS,
        FAILED,
        anew("show it at 10"),
        anew("near 30"),
        Said(missing=Unanswered("http_500", "failed")),
        Said(missing=Unanswered("max_requests", "deferred")),
        Said(target_caption="bridge at 110"),
        Said("pass", (0, 0, 0), (0, 1, 2, 3), "text", target_caption="bridge at 12"),
    ]
)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.tuples(st.sampled_from([10, 30, 50, 100, 170]), VERDICTS),
        min_size=1,
        max_size=4,
        unique_by=lambda one: one[0],
    ),
    st.sampled_from([(), ("verify_text",), ("verify_image", "rewrite", "verify_rewritten"), ("target_caption",)]),
    st.sampled_from(["best", "all"]),
    st.sampled_from(["keep", "rewrite", "drop"]),
)
def test_every_text_and_triplet_is_accounted_for(texts, chain, verify, ambiguous):
    names = [f"text {degrees}" for degrees, _ in texts]
    outcomes = verified(names, [said for _, said in texts], chain=chain, verify=verify, ambiguous=ambiguous)
    for row in outcomes.rows("verified"):
        assert row["instruction"] == row["instructions"][0]["text"]
        assert row["verdict"] == row["instructions"][0]["verdict"]
        assert all(one["verdict"] in ("pass", "ambiguous", "unchecked") for one in row["instructions"])
        assert row["triplet_id"] == triplet_id("pair", row["instruction"])
        assert (row["votes"] is None) == (row["judged_by"] is None) == (row["judged_order"] is None)
    assert outcomes.counts.units["triplet"].kept == len(outcomes.rows("verified"))
