import contextlib
import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synthesis.config import TaskConfig
from synthesis.prompt_files import load_prompt
from synthesis.tasks.interface import LENGTHS, Ask, NothingToAsk, UnparsableError
from synthesis.tasks.modification_fine import ModificationFine

TASK = ModificationFine(TaskConfig())
ROW = {
    "query_image_id": "aa",
    "target_image_id": "bb",
    "query_caption": "A cat on a sofa.",
    "target_text": "two dogs on a sofa",
}
DATA = {
    "short": {"text": "Two dogs instead", "keep": [], "add": ["two dogs"], "remove": ["cat"], "change": []},
    "medium": {
        "text": "Keep the sofa, but put two dogs on it in place of the cat",
        "keep": ["sofa"],
        "add": ["two dogs"],
        "remove": ["cat"],
        "change": [],
    },
    "fine": {
        "text": "The same sofa seen from the same side, with two dogs on it rather than a cat and nothing else moved",
        "keep": ["sofa", "view"],
        "add": [],
        "remove": [],
        "change": ["animal: cat → two dogs"],
    },
}
GOOD = json.dumps(DATA, ensure_ascii=False)
PARTS = ("keep", "add", "remove", "change")


def parsed(answer):
    output = TASK.format_output([answer], ROW)
    assert output.facts == {}
    return {
        one.length: {"text": one.text, **{part: list(getattr(one, part)) for part in PARTS}} for one in output.texts
    }


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```json\n{json.dumps(DATA, indent=2)}\n```",
        f"Here is the {{fine-grained}} request:\n{GOOD}\nEvery part is covered.",
        f'<think>{{"short": 1}}</think>\n{GOOD}',
        "\n".join(json.dumps({length: DATA[length]}) for length in LENGTHS),
        GOOD.replace('"Two dogs instead"', '"“Two dogs\\ninstead”"'),
    ],
)
def test_realistic_answers(answer):
    assert parsed(answer) == DATA


def test_order_and_other_columns():
    found = TASK.format_output([json.dumps(dict(reversed(DATA.items())))], ROW).texts
    assert [one.length for one in found] == list(LENGTHS)
    assert {(one.category, one.direction, one.score) for one in found} == {(None, "forward", None)}


def test_missing_lengths_are_put_up_with():
    for length in LENGTHS:
        assert parsed(json.dumps({length: DATA[length], "long": DATA["fine"]})) == {length: DATA[length]}
    assert parsed(json.dumps({**DATA, "medium": None, "fine": "two dogs"})) == {"short": DATA["short"]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"keep": None}, {"keep": []}),
        ({"add": ["two dogs", " ", '"a bone"']}, {"add": ["two dogs", "a bone"]}),
        ({"category": "number"}, {}),
        ({"add": "two dogs"}, None),
        ({"add": {"what": "two dogs"}}, None),
        ({"add": ["two dogs", 2]}, None),
        ({"add": [["two dogs"]]}, None),
        ({"add": [], "remove": []}, None),
        ({"text": None}, None),
        ({"text": " "}, None),
        ({"text": ["Two dogs instead"]}, None),
    ],
)
def test_the_parse_must_be_lists_of_texts(change, expected):
    found = parsed(json.dumps({**DATA, "short": DATA["short"] | change}))
    assert found["fine"] == DATA["fine"]
    assert found.get("short") == (None if expected is None else DATA["short"] | expected)


def test_lists_may_lack():
    assert parsed('{"short": {"text": "zwei Hunde", "add": ["Hunde"]}}') == {
        "short": {"text": "zwei Hunde", "keep": [], "add": ["Hunde"], "remove": [], "change": []}
    }


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I'm sorry, but I can't compare these.",
        "Deux chiens au lieu du chat.",
        GOOD[:-1],
        GOOD[:200],
        GOOD.replace('"', "'"),
        '{"short": "two dogs", "medium": "two dogs on it", "fine": null}',
        json.dumps({"kurz": DATA["short"]}),
        json.dumps([DATA["short"]]),
        json.dumps(DATA["short"]),
        "<think>" + GOOD,
        '{"short":' * 50_000,
    ],
)
def test_broken_answers(answer):
    with pytest.raises(UnparsableError):
        parsed(answer)


def test_captions_alone():
    asked = TASK.format_input(ROW)
    assert isinstance(asked, Ask)
    assert asked.image_ids == ()
    assert asked.messages[-1]["content"] == 'Source: "A cat on a sofa."\nTarget: "two dogs on a sofa"'
    assert "which are shown" not in asked.messages[0]["content"]
    assert TASK.format_input({"query_text": "a"}) == NothingToAsk("text_missing")
    assert TASK.format_input({"query_text": "a", "target_text": "A"}) == NothingToAsk("nothing_new")


def test_with_both_images():
    asked = TASK.format_input({**ROW, "target_text": None, "show_images": True})
    assert isinstance(asked, Ask)
    assert asked.image_ids == ("aa", "bb")
    assert asked.messages[-1]["content"] == [
        {"type": "text", "text": "Source:"},
        {"type": "image", "image": 0},
        {"type": "text", "text": '"A cat on a sofa."\nTarget:'},
        {"type": "image", "image": 1},
        {"type": "text", "text": '""'},
    ]
    assert "which are shown" in asked.messages[0]["content"]
    # Demonstrations have no images of their own.
    assert all(isinstance(one["content"], str) for one in asked.messages[:-1])


def test_demonstrations_follow_the_rules_they_show():
    bounds = {"short": (1, 8), "medium": (9, 20), "fine": (21, 45)}
    for one in load_prompt("modification_fine").demonstrations:
        found = TASK.format_output([one.answer], {}).texts
        assert [text.length for text in found] == list(LENGTHS)
        for text in found:
            least, most = bounds[text.length]
            assert least <= len(text.text.split()) <= most


def seen(text):
    """What of a text can be seen."""
    return "".join(
        one for one in text if not one.isspace() and unicodedata.category(one) not in ("Cc", "Cf", "Co", "Cs")
    )


def strings(data):
    """All texts in decoded JSON."""
    if isinstance(data, (dict, list)):
        return [text for one in (data.values() if isinstance(data, dict) else data) for text in strings(one)]
    return [data] if isinstance(data, str) else []


_LEAF = st.none() | st.integers() | st.text(max_size=20)
_LENGTH = st.dictionaries(st.sampled_from(["text", *PARTS, "x"]), _LEAF | st.lists(_LEAF, max_size=3)) | _LEAF


@given(
    st.dictionaries(st.sampled_from([*LENGTHS, "other"]), _LENGTH),
    st.sampled_from(["", "Here it is: ", "```json\n"]),
)
@example({"short": {"text": "half \ud800 of\u200b it", "add": ["\udfffx"]}}, "")
def test_texts_and_parses_stand_in_the_answer(data, before):
    try:
        found = parsed(before + json.dumps(data))
    except UnparsableError:
        return
    assert found
    for length, one in found.items():
        for key, value in one.items():
            for text in [value] if key == "text" else value:
                assert text
                assert text.encode()
                assert any(seen(text) in seen(held) for held in strings(data[length][key]))


@given(st.text() | st.text(alphabet='{}[]":,shortextad \\n3'))
def test_whatever_comes_nothing_else_is_raised(answer):
    with contextlib.suppress(UnparsableError):
        TASK.format_output([answer], ROW)
