import json

import pytest

from synthesis.config import FilterConfig, TaskConfig
from synthesis.filters import fault
from synthesis.prompt_files import load_prompt
from synthesis.tasks import make_task
from synthesis.tasks.interface import NothingToAsk, UnparsableError

ROW = {
    "page_title": "Tents",
    "query_image_id": "0a1b",
    "target_image_id": "2c3d",
    "query_text": "The small tent",
    "target_text": "The family tent",
    "query_label": None,
    "target_label": "mountain tent",
    "query_caption": "A small green tent.",
    "target_caption": "A large beige tent with an awning.",
    "instruction": "show another tent",
    "verdict": "fail",
}
TEXTS = {
    "short": "a larger tent with an awning",
    "medium": "a larger beige tent with an awning on two poles",
    "fine": "a larger beige tent with an awning on two poles, and three sleeping bags on a blue mat inside it",
}
GOOD = json.dumps({"reasoning": "The target is larger {and beige}."} | TEXTS)
ALL = list(TEXTS.items())


def task():
    return make_task("rewrite", TaskConfig())


def parsed(answer):
    return [(one.length, one.text) for one in task().format_output([answer], ROW).texts]


def test_what_is_asked():
    asked = task().format_input(ROW)
    last = asked.messages[-1]["content"]
    for name in ("page_title", "query_text", "target_text", "target_label", "query_caption", "instruction"):
        assert json.dumps(ROW[name]) in last
    assert asked.image_ids == ()
    assert asked.schema["required"] == ["reasoning", "short", "medium", "fine"]


@pytest.mark.parametrize("verdict", ["pass", "ambiguous", None])
def test_only_what_fails_is_written_anew(verdict):
    assert task().format_input(ROW | {"verdict": verdict, "show_images": True}) == NothingToAsk("passed")
    more = {"verdict": verdict, "rewrite_verdicts": ["fail", "ambiguous"]}
    asked = task().format_input(ROW | more)
    assert (asked == NothingToAsk("passed")) == (verdict != "ambiguous")
    unjudged = {name: value for name, value in ROW.items() if name != "verdict"}
    assert task().format_input(unjudged) == NothingToAsk("passed")


def test_the_texts_are_a_fact_too():
    assert task().format_output([GOOD], ROW).facts == {"rewritten": list(TEXTS.values())}


def test_both_images_are_shown_where_the_row_says_so():
    asked = task().format_input(ROW | {"show_images": True})
    assert asked.image_ids == ("0a1b", "2c3d")
    assert len(asked.messages) == 2
    parts = asked.messages[-1]["content"]
    order = [part["image"] if part["type"] == "image" else part["text"] for part in parts]
    assert [one for one in order if isinstance(one, int)] == [0, 1]
    assert order[order.index(0) - 1].endswith("Query image:")
    assert order[order.index(1) - 1].endswith("Target image:")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"target_text": None, "target_label": None, "target_caption": " "}, "text_missing"),
        ({f"target_{one}": ROW[f"query_{one}"] for one in ("text", "label", "caption")}, "nothing_new"),
    ],
)
def test_nothing_to_ask(changed, reason):
    assert task().format_input(ROW | changed) == NothingToAsk(reason)
    assert task().format_input(ROW | changed | {"show_images": True}).image_ids == ("0a1b", "2c3d")


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        json.dumps(TEXTS, indent=2),
        json.dumps(dict(reversed(ALL))),
        f"```json\n{GOOD}\n```",
        f"Here are three better ones:\n{GOOD}\nThey go from coarse to fine.",
        f'<think>{{"short": "no"}}</think>{GOOD}',
        f'{{"short": "a draft of mine"}} and then {GOOD}',
        json.dumps(TEXTS | {"short": '  "a larger tent\nwith an\u200b awning" '}),
    ],
)
def test_realistic_answers(answer):
    assert parsed(answer) == ALL


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"short": "a tent"}, [("short", "a tent")]),
        ({"fine": "ein größeres Zelt", "reasoning": "?"}, [("fine", "ein größeres Zelt")]),
        ({"medium": "b b", "short": None, "fine": ["x"]}, [("medium", "b b")]),
        ({"short": "", "medium": "b b", "fine": "c c"}, [("medium", "b b"), ("fine", "c c")]),
        ({"short": "B b", "medium": "b B", "fine": "c c"}, [("short", "B b"), ("fine", "c c")]),
    ],
)
def test_parts(answer, expected):
    assert parsed(json.dumps(answer)) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I'm sorry, but I can't help with that.",
        "short: a larger tent\nmedium: a larger beige tent",
        GOOD[:-1],
        GOOD.replace('"', "'"),
        json.dumps(list(TEXTS.values())),
        '{"coarse": "a tent"}',
        '{"short": 3, "medium": {}, "fine": null}',
        "<think>" + GOOD,
        "{" * 10_000,
    ],
)
def test_broken_answers(answer):
    with pytest.raises(UnparsableError):
        parsed(answer)


def test_demonstrations_pass_the_filters_and_keep_to_the_lengths():
    for one in load_prompt("rewrite").demonstrations:
        texts = {name: text for name, text in json.loads(one.answer).items() if name != "reasoning"}
        assert list(texts) == ["short", "medium", "fine"]
        counts = [len(text.split()) for text in texts.values()]
        assert counts[0] <= 8 < counts[1] <= 16 < counts[2] <= 40
        for text in texts.values():
            assert fault(text, one.row, FilterConfig()) is None
