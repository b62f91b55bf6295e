import json

import pytest

from synthesis.config import FilterConfig, TaskConfig
from synthesis.filters import fault
from synthesis.prompt_files import load_prompt
from synthesis.tasks import make_task
from synthesis.tasks.interface import CATEGORIES, NothingToAsk, UnparsableError

ROW = {
    "page_title": "Cats and dogs",
    "query_text": "a cat",
    "target_text": "a dog",
    "query_label": "tabby",
    "target_label": "golden retriever",
}
GOOD = (
    '{"reasoning": "A cat, and then a dog {of gold}.", "instructions": [{"text": "show the dog", "category": '
    '"attribute"}, {"text": "a dog instead", "category": null}]}'
)


def task(**settings):
    return make_task("instruction_magiclens", TaskConfig(**settings))


def parsed(answer):
    found = task().format_output([answer], ROW)
    assert not found.facts
    assert all((one.direction, one.length) == ("forward", None) for one in found.texts)
    return [(one.text, one.category) for one in found.texts]


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```",
        f"Here is the JSON you asked for:\n\n{GOOD}\n\nI hope {{this}} helps!",
        f"<think>The first {{image}} shows a cat. {GOOD[:30]}</think>\n{GOOD}",
        f"it is a dog, then. </think>{GOOD}",
        f"The pair is {{odd}}. {GOOD}",
        f'{{"reasoning": "differs in animal"}} {GOOD}',
        json.dumps(json.loads(GOOD) | {"note": "x"}, indent=2),
    ],
)
def test_realistic_answers(answer):
    assert parsed(answer) == [("show the dog", "attribute"), ("a dog instead", None)]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["show the dog"], [("show the dog", None)]),
        (["zeige den Hund", "显示狗"], [("zeige den Hund", None), ("显示狗", None)]),
        ([{"text": '  "show\nthe dog" '}], [("show the dog", None)]),
        ([{"text": "“show the dog”", "category": "number"}], [("show the dog", "number")]),
        ([{"text": "x y", "category": "colour"}], [("x y", None)]),
        ([{"text": "x y", "category": ["number"]}], [("x y", None)]),
        ([{"text": 3}, None, {"category": "number"}, [], {"text": ""}], []),
        ([{"instruction": "show the dog"}], []),
        ([{"text": "half \ud800 of\u200b it"}], [("half of it", None)]),
        ([], []),
    ],
)
def test_items_of_any_shape(items, expected):
    assert parsed(json.dumps({"instructions": items})) == expected


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I'm sorry, but I can't help with that.",
        "Montre le chien",
        GOOD[:-1],
        GOOD[:40],
        GOOD.replace('"', "'"),
        '{"instruction": "show the dog"}',
        '{"instructions": "show the dog"}',
        '{"instructions": {"text": "show the dog"}}',
        '["show the dog"]',
        "<think>" + GOOD,
        "{" * 100_000,
        '{"a":' * 100_000,
        '{"instructions": ' + "[" * 100_000,
    ],
)
def test_broken_answers(answer):
    with pytest.raises(UnparsableError):
        parsed(answer)


def test_what_is_asked():
    asked = task(texts=4).format_input(ROW | {"target_caption": "A dog on grass."})
    assert asked.messages[-1]["content"] == (
        'Page title: "Cats and dogs"\n'
        'First image:\n  text on the page: "a cat"\n  label: "tabby"\n  caption: ""\n'
        'Second image:\n  text on the page: "a dog"\n  label: "golden retriever"\n  caption: "A dog on grass."'
    )
    assert [one["role"] for one in asked.messages] == ["system", *["user", "assistant"] * 5, "user"]
    assert "write 4 instructions" in asked.messages[0]["content"]
    assert asked.schema["properties"]["instructions"]["maxItems"] == 4
    assert asked.image_ids == ()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"query_text": "a cat"}, "text_missing"),
        ({"query_text": "a cat", "target_text": " \u200b"}, "text_missing"),
        ({"query_text": "A  Cat", "target_text": "a cat"}, "nothing_new"),
    ],
)
def test_nothing_to_ask(row, reason):
    assert task().format_input({"page_title": None} | row) == NothingToAsk(reason)


def test_one_word_about_the_target_is_enough():
    asked = task().format_input({"page_title": None, "target_label": "castle"})
    assert 'label: "castle"' in asked.messages[-1]["content"]


def test_demonstrations_are_what_is_asked_for():
    demonstrations = load_prompt("instruction_magiclens").demonstrations
    assert len(demonstrations) == 5
    for one in demonstrations:
        pair = {"query_text": one.row.get("query_text"), "target_text": one.row.get("target_text")}
        texts = parsed(one.answer)
        assert len(texts) == 2
        for text, category in texts:
            assert category in CATEGORIES
            assert len(text.split()) <= 15
            assert fault(text, pair, FilterConfig()) is None
