"""Files of judges: what is taken, what is refused and in which words, and what follows from them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publishing.judging.judgements import VERDICTS, Judgements, check, parse_judgements, summary
from publishing.judging.sample import draw
from schemas.errors import ConfigurationError
from synthesis.tasks import judge


@pytest.fixture(scope="session")
def sample(row):
    return draw([row(number, ("a", "b")) for number in range(10)], 20)


def file_of(sample, judge="Ada", answers=None, **more):
    given_answers = [{"id": one.item_id, "verdict": "good"} for one in sample.items] if answers is None else answers
    return {"lensmith_judgements": 1, "sample": sample.sample_id, "judge": judge, "answers": given_answers} | more


def parsed(data):
    return parse_judgements(json.dumps(data).encode(), "a.json")


def test_people_and_models_answer_in_the_same_words():
    assert judge.VERDICTS == VERDICTS


def test_a_file_survives_the_way_through(sample):
    name = sample.items[0].item_id
    data = file_of(
        sample, judge="  Ada \n Lovelace ", answers=[{"id": name, "verdict": "partly", "note": " too vague "}]
    )
    found = parsed(data)
    assert found == Judgements(sample.sample_id, "Ada Lovelace", {name: "partly"}, {name: "too vague"})
    assert parsed(found.to_json()) == found
    check(found, sample, "a.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lensmith_judgements": 2}, "holds no judgements"),
        ({"sample": "../../etc"}, "of which sample"),
        ({"sample": 7}, "of which sample"),
        ({"judge": " "}, "who judged"),
        ({"judge": "x" * 81}, "who judged"),
        ({"judge": "A\u001b[31mda"}, "who judged"),
        ({"judge": None}, "who judged"),
        ({"answers": []}, "holds no answers"),
        ({"answers": {"a": "good"}}, "holds no answers"),
        ({"answers": [{"id": "a", "verdict": "great"}]}, "none of good, partly, false, unclear"),
        ({"answers": [{"id": "a", "verdict": ["good"]}]}, "none of good"),
        ({"answers": ["good"]}, "none of good"),
        ({"answers": [{"id": "a", "verdict": "good"}] * 2}, "answers 'a' twice"),
    ],
)
def test_what_is_no_file_of_a_sheet_is_told(sample, change, words):
    with pytest.raises(ConfigurationError, match=r"^a\.json ") as error:
        parsed(file_of(sample) | change)
    assert words in str(error.value)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[" * 100_000, b"[1]", b"null", b"<html>"])
def test_other_files_are_told(data):
    with pytest.raises(ConfigurationError, match="Save button"):
        parse_judgements(data, "a.json")


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_odd_answers_end_in_a_sentence(odd):
    data = {"lensmith_judgements": 1, "sample": "0" * 32, "judge": "Ada", "answers": [odd]}
    with pytest.raises(ConfigurationError, match=r"a\.json"):
        parsed(data)


def test_answers_about_something_else_are_refused(sample, row):
    other = draw([row(number) for number in range(30, 35)], 5)
    with pytest.raises(ConfigurationError, match="does not belong to the sample"):
        check(parsed(file_of(other)), sample, "a.json")
    mixed = file_of(sample)
    mixed["answers"].append({"id": other.items[0].item_id, "verdict": "good"})
    with pytest.raises(ConfigurationError, match="is not in it"):
        check(parsed(mixed), sample, "a.json")


def test_shares_counts_and_agreement_by_hand(sample):
    """Of method a Ada finds 8 of 10 good, of b 5; Bo judged method a alone and says partly to three of them."""
    of_a, of_b = ([one.item_id for one in sample.items if one.method == method] for method in "ab")
    ada = dict(zip(of_a, ["good"] * 8 + ["false"] * 2, strict=True))
    ada |= dict(zip(of_b, ["good"] * 5 + ["partly"] * 2 + ["false"] * 2 + ["unclear"], strict=True))
    bo = dict(zip(of_a, ["good"] * 5 + ["partly"] * 3 + ["false"] * 2, strict=True))
    judges = [Judgements(sample.sample_id, name, said) for name, said in (("model m", bo), ("Bo", bo), ("Ada", ada))]
    found = summary(sample, judges)
    assert [one["judge"] for one in found["judges"]] == ["Ada", "Bo", "model m"], "people first"
    everything, a, b = found["judges"][0]["shares"]
    assert everything == {
        "by": "all",
        "name": "",
        "judged": 20,
        "good": 13,
        "partly": 2,
        "false": 4,
        "unclear": 1,
        "share": 0.65,
        "low": 0.4329,
        "high": 0.8188,
    }
    assert (a["by"], a["name"], a["good"], a["judged"], a["share"]) == ("method", "a", 8, 10, 0.8)
    assert (a["low"], a["high"]) == (0.4902, 0.9433)
    assert (b["name"], b["good"], b["unclear"], b["share"]) == ("b", 5, 1, 0.5)
    assert [row["name"] for row in found["judges"][1]["shares"]] == ["", "a"]
    # Agreed 7 of 10; by chance (8·5 + 0·3 + 2·2) / 100 = 0.44.
    assert found["agreement"][0] == {"judges": ["Ada", "Bo"], "items": 10, "agreed": 7, "kappa": round(0.26 / 0.56, 4)}
    assert found["agreement"][2] == {"judges": ["Bo", "model m"], "items": 10, "agreed": 10, "kappa": 1.0}
    assert len(found["agreement"]) == 3


def test_a_sample_by_another_stratum_is_told_by_both(row):
    drawn = draw([row(number, ("a", "b")) for number in range(4)], 8, by="length")
    said = Judgements(drawn.sample_id, "Ada", {one.item_id: "good" for one in drawn.items})
    (ada,) = summary(drawn, [said])["judges"]
    assert [(one["by"], one["name"], one["judged"]) for one in ada["shares"]] == [
        ("all", "", 8),
        ("method", "a", 4),
        ("method", "b", 4),
        ("length", "fine", 4),
        ("length", "short", 4),
    ]
