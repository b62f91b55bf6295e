"""The verifiers: what is asked, how answers are read, what three tries say."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.config import TaskConfig
from synthesis.requests import make_requests
from synthesis.tasks import make_task
from synthesis.tasks.interface import Ask, NothingToAsk, UnparsableError
from synthesis.tasks.target_choice import SEVERAL, UNREAD, shown_order, written_about
from synthesis.tasks.verify_rewritten import rewritten_texts

ROW = {
    "pair_id": "pair",
    "query_image_id": "q",
    "target_image_id": "t",
    "query_text": "The old bridge at noon",
    "target_text": "The old bridge in winter",
    "query_caption": "A bridge.",
    "target_caption": "A bridge in snow.",
    "instruction": "Show it in snow",
    "distractors": ["a", "b", "c"],
    "distractor_texts": ["The bridge from below", "Its builders", "The toll house"],
    "distractor_captions": ["A bridge from below.", "Men in hats.", "A house."],
}


def task(name, **settings):
    return make_task(name, TaskConfig(**settings))


def said(number, **more):
    return json.dumps({"why": "It shows snow.", "image": number} | more)


def parsed(answers, name="verify_image", row=ROW, **settings):
    return dict(task(name, **settings).format_output(answers, row).facts)


def place(number, text=ROW["instruction"], row=ROW, kind="image", seed=0):
    """Where a candidate stands among those that are shown, as the model counts."""
    return shown_order(kind, text, row, seed).index(number) + 1


def test_an_lmm_sees_the_query_and_then_the_candidates_in_the_stored_order():
    asked = task("verify_image").format_input(ROW)
    order = shown_order("image", ROW["instruction"], ROW, 0)
    assert sorted(order) == [0, 1, 2, 3]
    assert asked.schema["properties"]["image"]["enum"] == [1, 2, 3, 4, 0, -1]
    assert asked.image_ids == ("q", *(("t", "a", "b", "c")[number] for number in order))
    parts = asked.messages[-1]["content"]
    assert [part["image"] for part in parts if part["type"] == "image"] == [0, 1, 2, 3, 4]
    labels = [part["text"].splitlines()[-1] for part in parts if part["type"] == "text"][:-1]
    assert labels == ["Query image:", *(f"Candidate {number}:" for number in (1, 2, 3, 4))]
    everything = json.dumps(asked.messages)
    assert '\\"Show it in snow\\"' in everything
    # Nothing but the pictures tells the candidates apart.
    assert not any(text in everything for text in (ROW["target_text"], ROW["target_caption"], "Its builders"))


def test_the_order_depends_on_seed_pair_and_text_alone():
    orders = {
        shown_order("image", text, ROW | {"pair_id": pair}, seed)
        for text in ("one", "two", "three")
        for pair in ("p", "q", "r")
        for seed in (0, 1, 2)
    }
    assert len(orders) > 10
    firsts = [shown_order("image", "text", ROW | {"pair_id": str(number)}, 0)[0] for number in range(400)]
    # Each candidate stands first about as often.
    assert all(70 < firsts.count(number) < 130 for number in range(4))
    assert shown_order("image", "text", ROW, 7) == shown_order("image", "text", dict(ROW, target_text=None), 7)


@pytest.mark.parametrize(("configured", "sent"), [(0.0, 0.7), (0.2, 0.2)])
def test_three_tries_that_differ(configured, sent):
    asked = task("verify_image", temperature=configured).format_input(ROW)
    requests = make_requests(asked, TaskConfig(temperature=configured))
    assert {one.parameters["temperature"] for one in requests} == {sent}
    assert len({one.request_id for one in requests}) == 3


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        (("t", "t", "t"), "pass"),
        (("t", "a", "t"), "pass"),
        (("t", -1, "t"), "pass"),
        (("t", -1, -1), "ambiguous"),
        ((-1, -1, -1), "ambiguous"),
        (("t", "a", "a"), "fail"),
        (("t", -1, 0), "fail"),
        ((0, 0, 0), "fail"),
        # Two must be right, however many were answered.
        (("t",), "fail"),
        (("t", "t"), "pass"),
        (("t", "t", "no idea"), "pass"),
        (("t", "no idea", "no idea"), "fail"),
    ],
)
def test_what_three_tries_say(numbers, verdict):
    names = {"t": 0, "a": 1, "b": 2, "c": 3}
    answers = [said(place(names[one])) if one in names else said(one) for one in numbers]
    found = parsed(answers)
    assert found["verdict"] == verdict
    expected = [names.get(one, {-1: SEVERAL, 0: -2, "no idea": UNREAD}.get(one)) for one in numbers]
    assert found["votes"] == expected
    assert found["judged_by"] == "image"
    assert found["judged_order"] == list(shown_order("image", ROW["instruction"], ROW, 0))


@pytest.mark.parametrize("form", ["{}", '"{}"', '"Candidate {}"', '"image {}."', "{}.0"])
def test_numbers_in_json(form):
    target = place(0)
    answer = f'Let me see.\n```json\n{{"why": "so {{1}}", "image": {form.format(target)}}}\n```'
    assert parsed([answer])["votes"] == [0]


@pytest.mark.parametrize("form", ["{}", "Image {}", "**Candidate {}**", "Answer: {}.", "<think>1? 2?</think>{}"])
def test_numbers_alone(form):
    assert parsed([form.format(place(0))])["votes"] == [0]
    assert parsed([form.format(-1)])["votes"] == [SEVERAL]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I'm sorry, I cannot.",
        "1 or 2",
        "{" * 9999,
        '{"why": "?"}',
        *(f'{{"image": {value}}}' for value in ("5", "-2", "1.5", "true", "[1]", '"first"', "1e999", "NaN", "null")),
    ],
)
def test_what_is_no_number_of_a_candidate(answer):
    with pytest.raises(UnparsableError):
        parsed([answer, answer])
    assert parsed([answer, said(place(0)), said(place(0))])["votes"] == [UNREAD, 0, 0]


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.lists(st.integers())


@given(st.lists(st.text(max_size=40) | _VALUES.map(lambda one: json.dumps({"image": one})), min_size=1, max_size=3))
def test_reading_raises_nothing_else(answers):
    for name in ("verify_image", "verify_text"):
        try:
            found = parsed(answers, name)
        except UnparsableError:
            continue
        assert len(found["votes"]) == len(answers)
        assert set(found["votes"]) <= {0, 1, 2, 3, -1, -2, -3}
        assert found["verdict"] in ("pass", "fail", "ambiguous")


def test_a_judge_without_eyes_reads_captions_where_all_have_one():
    asked = task("verify_text").format_input(ROW)
    assert asked.image_ids == ()
    last = asked.messages[-1]["content"]
    lines = [line.partition(": ")[2] for line in last.splitlines() if line.startswith("Candidate")]
    order = shown_order("text", ROW["instruction"], ROW, 0)
    known = [ROW["target_caption"], *ROW["distractor_captions"]]
    assert lines == [json.dumps(known[number]) for number in order]
    assert json.dumps(ROW["query_text"]) in last
    assert parsed([said(place(0, kind="text"))] * 3, "verify_text")["judged_by"] == "text"


def test_one_missing_caption_and_all_are_told_by_their_page():
    row = ROW | {"distractor_captions": [None, "Men.", "A house."]}
    assert written_about(row) == [ROW["target_text"], *ROW["distractor_texts"]]
    assert written_about(ROW | {"target_caption": " "}) == [ROW["target_text"], *ROW["distractor_texts"]]
    # Without any text an image is no candidate, and votes keep their numbers.
    row |= {"distractor_texts": [None, "Its builders", "The toll house"]}
    order = shown_order("text", ROW["instruction"], row, 0)
    assert sorted(order) == [0, 2, 3]
    assert parsed([said(place(3, row=row, kind="text"))], "verify_text", row)["votes"] == [3]


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("verify_image", {"distractors": ["a"]}, "too_few_candidates"),
        ("verify_image", {"instruction": ""}, "instruction_missing"),
        ("verify_text", {"target_text": None, "target_caption": None}, "text_missing"),
        ("verify_text", {"distractor_texts": [None, None, "x"], "distractor_captions": None}, "too_few_candidates"),
    ],
)
def test_nothing_to_ask(name, changed, reason):
    assert task(name).format_input(ROW | changed) == NothingToAsk(reason)


FAILED = ROW | {
    "verdict": "fail",
    "judged_by": "image",
    "rewritten": ["snow on it", "the bridge under deep snow", "the same bridge under deep snow in the evening"],
}


def judged_in_turn(passing, row=FAILED):
    """Take a row through the steps with a judge that finds the target for some texts; which texts it was asked."""
    row, asked_for = dict(row), []
    for step in task("verify_rewritten").steps:
        asked = step.format_input(row)
        if isinstance(asked, NothingToAsk):
            asked_for.append(asked.reason)
            continue
        text = next(one for one in row["rewritten"] if json.dumps(json.dumps(one))[1:-1] in json.dumps(asked.messages))
        asked_for.append(text)
        kind = row["judged_by"]
        number = place(0 if text in passing else 1, text, row, kind)
        row |= step.format_output([said(number)] * 3, row).facts
    return asked_for, row


def test_the_coarsest_that_passes_ends_it():
    coarse, middle, fine = FAILED["rewritten"]
    assert judged_in_turn({coarse, middle, fine})[0] == [coarse, "passed", "passed"]
    asked, row = judged_in_turn({fine})
    assert asked == [coarse, middle, fine]
    assert row["rewritten_verdicts"] == ["fail", "fail", "pass"]
    assert row["rewritten_votes"] == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]
    assert [sorted(one) for one in row["rewritten_orders"]] == [[0, 1, 2, 3]] * 3
    assert judged_in_turn(set())[1]["rewritten_verdicts"] == ["fail"] * 3


def test_it_judges_as_the_failed_text_was_judged():
    steps = task("verify_rewritten").steps
    assert [step.name for step in steps] == [
        "verify_rewritten.coarse",
        "verify_rewritten.middle",
        "verify_rewritten.fine",
    ]
    assert steps[0].format_input(FAILED).prompt.name == "verify_image"
    asked = steps[0].format_input(FAILED | {"judged_by": "text"})
    assert (asked.prompt.name, asked.image_ids) == ("verify_text", ())
    assert isinstance(asked, Ask)
    assert asked.samples == 3


def test_what_the_filters_drop_is_not_asked_about():
    row = FAILED | {"rewritten": ["see image 2", "the bridge under deep snow", "look at www.example.com"]}
    assert rewritten_texts(row) == ["the bridge under deep snow"]
    assert judged_in_turn(set(), row)[0] == ["the bridge under deep snow", "no_text", "no_text"]
    assert rewritten_texts(row | {"filters": {"max_words": 3}}) == []
    without = {name: value for name, value in ROW.items() if name != "rewritten"}
    assert task("verify_rewritten").steps[0].format_input(without) == NothingToAsk("no_text")
