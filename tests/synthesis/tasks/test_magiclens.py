import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synthesis.config import WriteConfig
from synthesis.requests import NothingToAsk, Request, Variables
from synthesis.tasks.interface import UnparsableError
from synthesis.tasks.magiclens import MagicLens

TASK = MagicLens(WriteConfig(task="magiclens", texts=3))
PAIR = Variables("A page", "a cat", "a dog")
GOOD = (
    '{"instructions": [{"text": "show the dog", "category": "attribute"}, {"text": "a dog instead", "category": null}]}'
)


def parsed(answer):
    return [(one.text, one.category) for one in TASK.format_output(answer, PAIR)]


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here is the JSON you asked for:\n\n{GOOD}\n\nI hope {{this}} helps!",
        f"<think>The first {{image}} shows a cat. {GOOD[:30]}</think>\n{GOOD}",
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
        ([{"text": '  "show\nthe dog" '}], [("show the dog", None)]),
        ([{"text": "x y", "category": "colour"}], [("x y", None)]),
        ([{"text": "x y", "category": ["number"]}], [("x y", None)]),
        ([{"text": 3}, None, {"category": "number"}, [], {"text": ""}], []),
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
    request = TASK.format_input(Variables("A page", "a cat", "", "tabby", "golden retriever"))
    assert isinstance(request, Request)
    assert request.messages[-1]["content"] == (
        "Page title: A page\nFirst image: a cat (label: tabby)\nSecond image: (label: golden retriever)"
    )
    assert "3 instructions" in request.messages[0]["content"]
    assert request.parameters == {"temperature": 0.0, "max_tokens": 256, "seed": 0}
    assert TASK.format_input(Variables("t", "", "a dog")).messages[-1]["content"].count("unknown") == 1
    assert TASK.format_input(Variables("t", "a cat", "")) == NothingToAsk("text_missing")
    assert TASK.format_input(Variables("t", "A Cat", "a cat")) == NothingToAsk("nothing_new")


_TEXT = st.text(max_size=20)
_ITEM = (
    st.none() | _TEXT | st.integers() | st.dictionaries(st.sampled_from(["text", "category", "x"]), _TEXT | st.none())
)
_JSON = st.dictionaries(st.sampled_from(["instructions", "other"]), st.lists(_ITEM, max_size=4) | _ITEM) | _ITEM


def seen(text):
    """What of a text can be seen."""
    return "".join(
        sign for sign in text if not sign.isspace() and unicodedata.category(sign) not in ("Cc", "Cf", "Co", "Cs")
    )


@given(st.text() | _JSON.map(json.dumps))
@example('{"instructions": [{"text": "a", "category": {}}]}')
def test_parsing_raises_nothing_else_and_invents_nothing(answer):
    try:
        found = TASK.format_output(answer, PAIR)
    except UnparsableError:
        return
    items = json.loads(answer)["instructions"]
    texts = [one if isinstance(one, str) else one.get("text") for one in items if isinstance(one, (str, dict))]
    held = [seen(text) for text in texts if isinstance(text, str)]
    for one in found:
        assert one.text == " ".join(one.text.split())
        assert one.text.encode()
        assert any(seen(one.text) in text for text in held)
