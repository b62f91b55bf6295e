"""Chains of judges over rows in this process, with a writer that answers by a rule."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
from angle_pages import DEGREES, eligible, images, triplet, verifying
from pydantic import ValidationError

from schemas.outcomes import CollectedOutcomes
from schemas.storage import Folder
from synthesis.chain import make_chain
from synthesis.config import FilterConfig, VerifyConfig
from synthesis.run_rows import run_rows
from synthesis.verification.chain_verdicts import judged_rows, judging_columns, said_of
from synthesis.verification.distractors import Lookalikes
from synthesis.verification.pages import verify_page

ANEW = {"reasoning": "?", "short": "see it at 200", "medium": "see it brightly at 201", "fine": "do see it right at 10"}


def scripted():
    path = Path(__file__).parents[1] / "scripted_writer.py"
    spec = importlib.util.spec_from_file_location("lensmith_scripted_writer", path)
    module = sys.modules.setdefault("lensmith_scripted_writer", importlib.util.module_from_spec(spec))
    if not hasattr(module, "ScriptedWriter"):
        spec.loader.exec_module(module)
    return module.ScriptedWriter


class Reader:
    """Judges by what is written about candidates: the one that stands at the angle that the text names is right.
    `sure`: what it says of texts; else "right"."""

    def __init__(self, **sure):
        self.sure = sure

    def __call__(self, request):
        turn = request["messages"][-1]["content"]
        if request["prompt"] == "rewrite":
            return json.dumps(ANEW)
        if request["prompt"] == "target_caption":
            return "A bridge at 11"
        text = json.loads(re.search(r'Instruction: (".*")', turn)[1])
        candidates = [json.loads(one) for one in re.findall(r'Candidate \d+: (".*")', turn)]
        wanted = f"at {text.rsplit(' ', 1)[-1]}"
        right = candidates.index(wanted) + 1 if wanted in candidates else 0
        said = self.sure.get(text.split()[0], "right")
        numbers = {"right": right, "wrong": right and 1 + right % len(candidates), "several": -1}
        seed = request["parameters"]["seed"]
        return json.dumps({"why": "?", "image": numbers[said if isinstance(said, str) else said[seed]]})


def run(tmp_path, rule, *texts, chain=("verify_text", "rewrite", "verify_rewritten"), **more):
    """What a chain said of a triplet's texts, the rows of `verified`, and how often the model was asked."""
    config = VerifyConfig(chain=chain, verify="all", backend="openai", model="m", **more)
    one = triplet(*texts) | {"query_label": None, "target_label": None, "page_title": "Angles"}
    distractors = Lookalikes(eligible(DEGREES | {"d": 99})).of("page", "q", "t")
    rows = [row | judging_columns(config, FilterConfig()) for row in judged_rows(one, distractors, {}, config.verify)]
    writer = scripted()(rule)
    result = run_rows(rows, make_chain(config), Folder(str(tmp_path)), lambda config: writer)
    said = said_of(result.rows)
    outcomes = CollectedOutcomes()
    judging = verifying(said=said, chain=chain, verify="all", ambiguous=config.ambiguous)
    verify_page([one], images(), judging, outcomes)
    assert not outcomes.counts.unbalanced()
    return said, outcomes, len(writer.asked)


def test_a_judge_that_is_always_right(tmp_path):
    said, outcomes, asked = run(tmp_path, Reader(), "show it at 10")
    assert (said["old", "show it at 10"].verdict, said["old", "show it at 10"].votes) == ("pass", (0, 0, 0))
    (row,) = outcomes.rows("verified")
    assert (row["verdict"], row["judged_by"], row["rewritten_from"]) == ("pass", "text", None)
    assert asked == 3
    # Answers lie in the store.
    assert run(tmp_path, Reader(), "show it at 10")[2] == 0


def test_a_judge_that_is_always_wrong(tmp_path):
    rule = Reader(show="wrong", see="wrong", do="wrong")
    _, outcomes, asked = run(tmp_path, rule, "show it at 10")
    assert not outcomes.rows("verified")
    assert dict(outcomes.counts.units["triplet"].rejected) == {"verifier_failed": 1}
    assert asked == 3 + 1 + 9


def test_a_judge_to_whom_all_is_ambiguous(tmp_path):
    rule = Reader(show="several", see="several", do="several")
    _, outcomes, asked = run(tmp_path / "keep", rule, "show it at 10")
    assert (outcomes.rows("verified")[0]["verdict"], asked) == ("ambiguous", 3)
    _, outcomes, asked = run(tmp_path / "drop", rule, "show it at 10", ambiguous="drop")
    assert (dict(outcomes.counts.units["triplet"].rejected), asked) == ({"ambiguous": 1}, 13)


def test_only_the_fine_text_passes(tmp_path):
    said, outcomes, asked = run(tmp_path, Reader(show="wrong"), "show it at 10", "turn to 10")
    rewritten = said["old", "show it at 10"].rewritten
    assert (rewritten.written.candidate.text, rewritten.votes) == (ANEW["fine"], (0, 0, 0))
    assert said["old", "turn to 10"].rewritten is None
    (row,) = outcomes.rows("verified")
    assert [one["text"] for one in row["instructions"]] == [ANEW["fine"], "turn to 10"]
    assert row["rewritten_from"] == "show it at 10"
    assert asked == 2 * 3 + 1 + 9


@pytest.mark.parametrize(
    ("tries", "verdict"),
    [
        (("right", "wrong", "right"), "pass"),
        (("right", "wrong", "wrong"), "fail"),
        (("several", "right", "several"), "ambiguous"),
        (("several", "right", "wrong"), "fail"),
    ],
)
def test_two_of_three(tmp_path, tries, verdict):
    said, _, _ = run(tmp_path, Reader(show=tries), "show it at 10", chain=("verify_text",))
    assert said["old", "show it at 10"].verdict == verdict


def test_the_same_rows_are_judged_alike_and_another_seed_shuffles_anew(tmp_path):
    orders = []
    for number, seed in enumerate((0, 0, 10, 20, 30)):
        rule = Reader(show=dict.fromkeys(range(99), "right"))
        said, _, _ = run(tmp_path / str(number), rule, "show it at 10", chain=("verify_text",), seed=seed)
        orders.append(said["old", "show it at 10"].order)
    assert orders[0] == orders[1]
    assert len(set(orders)) > 1


def test_answers_that_cannot_be_read_are_no_verdict(tmp_path):
    said, outcomes, asked = run(tmp_path, lambda request: "I would rather not.", "show it at 10", "turn to 170")
    assert {one.verdict for one in said.values()} == {None}
    # Ranks may still fail a text, but pass none.
    (row,) = outcomes.rows("verified")
    assert [(one["text"], one["verdict"]) for one in row["instructions"]] == [("show it at 10", "unchecked")]
    assert dict(outcomes.counts.units["text"].rejected) == {"target_ranked_low": 1}
    assert (row["votes"], row["judged_by"], asked) == (None, None, 6)


def test_requests_that_fail_are_failures(tmp_path):
    failing = {"text": None, "error": "http_500: no", "finish_reason": None}
    said, outcomes, _ = run(tmp_path, lambda request: failing, "show it at 10")
    assert said["old", "show it at 10"].missing.kind == "failed"
    assert dict(outcomes.counts.units["triplet"].failed) == {"http_500": 1}


def test_a_caption_of_the_target_is_written_without_a_look_at_it(tmp_path):
    said, outcomes, asked = run(tmp_path, Reader(), "show it at 30", chain=("target_caption",))
    assert (said["old", "show it at 30"].target_caption, asked) == ("A bridge at 11", 1)
    (row,) = outcomes.rows("verified")
    # By the text itself the target is second; the caption finds it.
    assert (row["rank_text"], row["rank_caption"], row["verdict"]) == (2, 1, "pass")


@pytest.mark.parametrize(
    ("chain", "fault"),
    [
        (("rewrite", "verify_rewritten"), "rewrite stands behind verify_image or verify_text"),
        (("verify_image", "rewrite"), "must pass verify_rewritten"),
        (("verify_image", "verify_rewritten", "rewrite"), "verify_rewritten stands behind rewrite"),
        (("verify_image", "verify_text"), "one of verify_image and verify_text"),
        (("verify_image", "verify_image"), "once"),
        (("span_copy",), "span_copy verifies nothing"),
    ],
)
def test_chains_that_make_no_sense_are_refused(chain, fault):
    with pytest.raises(ValidationError, match=fault):
        VerifyConfig(chain=chain)
    with pytest.raises(ValidationError, match="rise"):
        VerifyConfig(alignment_edges=(0.3, 0.2))
