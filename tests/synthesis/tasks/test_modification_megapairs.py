import contextlib
import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synthesis.config import FilterConfig, TaskConfig
from synthesis.filters import fault
from synthesis.prompt_files import load_prompt
from synthesis.requests import make_requests
from synthesis.tasks.interface import Ask, NothingToAsk, UnparsableError
from synthesis.tasks.modification_megapairs import ModificationMegaPairs

TASK = ModificationMegaPairs(TaskConfig())
DESCRIBE, WRITE = TASK.steps
PAIR = {
    "pair_id": "p",
    "page_title": "Bridges",
    "query_image_id": "aa",
    "target_image_id": "bb",
    "query_text": "The bridge",
    "target_text": None,
}
DESCRIBED = (
    "Both pictures show the same stone bridge with three arches. The first is taken in summer from the bank; in the "
    "second it is winter, the river is frozen, and children skate below the middle arch."
)
QUERIES = ["show it frozen over in winter", "children skating below the middle arch", "what is it like in ice?"]
GOOD = json.dumps({"queries": QUERIES})


def described(answer):
    output = DESCRIBE.format_output([answer], PAIR)
    assert list(output.facts) == ["described"]
    assert output.texts == ()
    return output.facts["described"]


def written(answer):
    output = WRITE.format_output([answer], {**PAIR, "described": DESCRIBED})
    assert output.facts == {}
    return [one.text for one in output.texts]


def test_both_images_are_shown_in_their_order():
    asked = DESCRIBE.format_input(PAIR)
    assert isinstance(asked, Ask)
    assert asked.image_ids == ("aa", "bb")
    assert [one["role"] for one in asked.messages] == ["system", "user"]
    assert asked.messages[1]["content"] == [
        {"type": "text", "text": "First picture:"},
        {"type": "image", "image": 0},
        {"type": "text", "text": 'The page says of it: "The bridge"\nSecond picture:'},
        {"type": "image", "image": 1},
        {"type": "text", "text": 'The page says of it: ""\nTitle of the page: "Bridges"'},
    ]
    assert DESCRIBE.format_input({**PAIR, "target_image_id": "aa"}) == NothingToAsk("nothing_new")


@pytest.mark.parametrize(
    "answer",
    [
        DESCRIBED,
        f"  {DESCRIBED}\n",
        f"```\n{DESCRIBED}\n```",
        f"Description: {DESCRIBED}",
        f"<think>A bridge twice.</think>\n\n{DESCRIBED}",
        DESCRIBED.replace(". The", ".\n\nThe"),
        f'"{DESCRIBED}"',
    ],
)
def test_descriptions(answer):
    assert described(answer) == DESCRIBED


def test_a_description_in_another_language_is_one():
    text = "两张图片都是同一座石桥。第一张是夏天拍的,第二张是冬天,河面结冰,孩子们在滑冰。"
    assert described(text) == text


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "A bridge.",
        "```\n```",
        "<think>" + DESCRIBED,
        "I'm sorry, but I can't help with describing people in pictures, as this may violate their privacy and rights.",
        "As an AI language model I have no eyes and so cannot see the two pictures that you speak of in this request.",
    ],
)
def test_no_descriptions(answer):
    with pytest.raises(UnparsableError):
        described(answer)


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```json\n{json.dumps({'queries': QUERIES}, indent=1)}\n```",
        f"Here are three {{varied}} queries:\n{GOOD}\nHope this helps!",
        f"<think>{{}} pronouns!</think>{GOOD}",
        json.dumps({"queries": [{"text": one} for one in QUERIES], "note": 1}),
        json.dumps({"queries": [f'"{one}"' for one in QUERIES] + ["", None, 3, []]}),
    ],
)
def test_queries(answer):
    assert written(answer) == QUERIES


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I cannot help with that.",
        "1. show it frozen\n2. children skating",
        json.dumps({"query": QUERIES}),
        json.dumps(QUERIES),
        GOOD[:-2],
        GOOD.replace('"', "“"),
        '{"queries": []}',
        '{"queries": null}',
        '{"queries": [1, {"txt": "x"}, " "]}',
        "<think>" + GOOD,
    ],
)
def test_broken_queries(answer):
    with pytest.raises(UnparsableError):
        written(answer)


def drawn(described, **settings):
    """The demonstrations of a request, and the request's last message."""
    asked = ModificationMegaPairs(TaskConfig(**settings)).steps[1].format_input({**PAIR, "described": described})
    contents = [one["content"] for one in asked.messages]
    return contents[1:-1:2], contents[-1]


def test_demonstrations_are_drawn_by_the_seed_and_the_description():
    turns, last = drawn(DESCRIBED)
    assert last == f"Description: {json.dumps(DESCRIBED)}"
    assert len(turns) == len(set(turns)) == 5
    assert drawn(DESCRIBED) == (turns, last)
    assert drawn(DESCRIBED, demonstration_seed=1)[0] != turns
    assert drawn(DESCRIBED + " Again.")[0] != turns
    assert drawn(DESCRIBED, demonstrations=2)[0] == turns[:2]
    assert drawn(DESCRIBED, demonstrations=0)[0] == []


def test_every_demonstration_is_drawn_for_some_pair():
    turns = {turn for number in range(100) for turn in drawn(f"{DESCRIBED} {number}")[0]}
    assert len(turns) == 50


def test_equal_descriptions_make_equal_requests():
    rows = [{**PAIR, "described": DESCRIBED}, {**PAIR, "pair_id": "q", "query_text": "x", "described": DESCRIBED}]
    first, second = (make_requests(WRITE.format_input(row), TaskConfig()) for row in rows)
    assert first == second


def test_at_least_three_queries_are_asked_for():
    for texts, expected in ((1, 3), (5, 5)):
        step = ModificationMegaPairs(TaskConfig(texts=texts)).steps[1]
        asked = step.format_input({"described": DESCRIBED})
        assert f"write {expected} search queries" in asked.messages[0]["content"]
        assert asked.schema["properties"]["queries"]["maxItems"] == expected
        assert asked.image_ids == ()
    assert WRITE.format_input(PAIR) == NothingToAsk("description_missing")


def test_the_pool():
    """Fifty, each a good answer in itself: three queries that pass the filters and name neither picture."""
    pool = load_prompt("modification_megapairs").demonstrations
    assert len(pool) == len({one.row["described"] for one in pool}) == 50
    texts = []
    for one in pool:
        assert DESCRIBE.format_output([one.row["described"]], {}).facts["described"] == one.row["described"]
        found = [text.text for text in WRITE.format_output([one.answer], {}).texts]
        assert len(found) == 3
        for text in found:
            assert len(text.split()) <= 20
            assert fault(text, {"query_text": "", "target_text": one.row["described"]}, FilterConfig()) is None
        texts += found
    assert len(set(texts)) == 150


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
_ITEM = _LEAF | st.dictionaries(st.sampled_from(["text", "x"]), _LEAF | st.lists(_LEAF, max_size=2))


@given(
    st.dictionaries(st.sampled_from(["queries", "other"]), st.lists(_ITEM, max_size=4) | _ITEM),
    st.sampled_from(["", "Here it is: ", "```json\n"]),
)
@example({"queries": ["half \ud800 of\u200b it"]}, "")
def test_queries_stand_in_the_answer(data, before):
    try:
        found = written(before + json.dumps(data))
    except UnparsableError:
        return
    assert found
    for text in found:
        assert text == " ".join(text.split())
        assert text.encode()
        assert any(seen(text) in seen(one) for one in strings(data["queries"]))


@given(st.text() | st.lists(st.text(min_size=1, max_size=4), min_size=15).map(" ".join))
def test_a_description_stands_in_the_answer(answer):
    try:
        found = described(answer)
    except UnparsableError:
        return
    assert found.encode()
    assert seen(found) in seen(answer)


@given(st.text() | st.text(alphabet='{}[]":,queris \\n3'))
def test_whatever_comes_nothing_else_is_raised(answer):
    for step in TASK.steps:
        with contextlib.suppress(UnparsableError):
            step.format_output([answer], PAIR)
