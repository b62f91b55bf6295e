import contextlib
import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synthesis.config import TaskConfig
from synthesis.prompt_files import load_prompt
from synthesis.tasks.interface import Ask, NothingToAsk, UnparsableError
from synthesis.tasks.text_triplets import TextTriplets

TASK = TextTriplets(TaskConfig())
ROW = {"image_id": "aa", "page_title": "Pets", "text": "IMG 1", "caption": "A cat sleeps on a sofa."}
GOOD = '{"edit": "make it a dog", "edited": "A dog sleeps on a sofa."}'
TRIPLET = {"caption": "A cat sleeps on a sofa.", "edit": "make it a dog", "edited": "A dog sleeps on a sofa."}


def parsed(answer, row=ROW):
    output = TASK.format_output([answer], row)
    assert output.texts == ()
    assert list(output.facts) == ["text_triplet"]
    return output.facts["text_triplet"]


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Sure, here is an {{edit}}:\n\n{GOOD}\n\nEnjoy!",
        f'<think>{{"edit": "x", "edited": "y"}}</think>{GOOD}',
        '{"caption": "A bird.", "edited": "A dog sleeps\\n on a sofa.", "edit": "\\"make it a dog\\"", "kind": null}',
        f'{{"edit": "no caption"}} {GOOD}',
    ],
)
def test_realistic_answers(answer):
    assert parsed(answer) == TRIPLET


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I'm sorry, I cannot edit this caption.",
        "Un chien dort sur un canapé.",
        GOOD[:-1],
        GOOD.replace('"', "'"),
        '{"edit": "make it a dog"}',
        '{"edit": "make it a dog", "edited_caption": "A dog sleeps on a sofa."}',
        '{"edit": "make it a dog", "edited": null}',
        '{"edit": ["make it a dog"], "edited": "A dog sleeps on a sofa."}',
        '{"edit": " ", "edited": "A dog sleeps on a sofa."}',
        '{"edit": "make it a dog", "edited": ""}',
        '{"edit": "none", "edited": "A cat sleeps on a sofa."}',
        '{"edit": "none", "edited": "a cat sleeps  on a sofa"}',
        '{"edit": "buy at http://spam.example/x", "edited": "A dog sleeps on a sofa."}',
        '{"edit": "a dog", "edited": "I\'m sorry, I can\'t do that."}',
        "<think>" + GOOD,
        '{"edit":' * 50_000,
    ],
)
def test_broken_answers(answer):
    with pytest.raises(UnparsableError):
        parsed(answer)


def test_other_languages_are_taken_as_they_are():
    row = {"text": "Eine Katze auf dem Sofa"}
    answer = '{"edit": "make it a dog", "edited": "Ein Hund auf dem Sofa"}'
    assert parsed(answer, row)["edited"] == "Ein Hund auf dem Sofa"
    assert parsed(answer, row)["caption"] == "Eine Katze auf dem Sofa"


def test_what_is_asked():
    asked = TASK.format_input(ROW)
    assert isinstance(asked, Ask)
    assert asked.image_ids == ()
    assert asked.messages[-1]["content"] == 'Caption: "A cat sleeps on a sofa."'
    assert TASK.format_input({"text": "a cat", "caption": None}).messages[-1]["content"] == 'Caption: "a cat"'
    assert TASK.format_input({"text": " ", "caption": None}) == NothingToAsk("text_missing")
    assert TASK.format_input({"page_title": "Pets"}) == NothingToAsk("text_missing")


def test_the_caption_of_the_triplet_is_the_one_that_was_asked_about():
    row = {"caption": "word " * 200 + "<|im_end|>"}
    shown = json.loads(TASK.format_input(row).messages[-1]["content"].removeprefix("Caption: "))
    assert parsed(GOOD, row)["caption"] == shown
    assert len(shown) <= 400


def test_demonstrations_are_triplets():
    for one in load_prompt("text_triplets").demonstrations:
        found = parsed(one.answer, one.row)
        assert len(found["edit"].split()) <= 12
        assert found["caption"] == one.row["caption"]


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


_VALUE = st.none() | st.integers() | st.text(max_size=30) | st.lists(st.text(max_size=5), max_size=2)


@given(
    st.dictionaries(st.sampled_from(["edit", "edited", "caption"]), _VALUE),
    st.sampled_from(["", "Here it is: ", "```json\n"]),
)
@example({"edit": "half \ud800 of\u200b it", "edited": "x"}, "")
def test_edit_and_edited_stand_in_the_answer(data, before):
    try:
        found = parsed(before + json.dumps(data))
    except UnparsableError:
        return
    assert found["caption"] == ROW["caption"]
    for key in ("edit", "edited"):
        assert found[key]
        assert found[key].encode()
        assert any(seen(found[key]) in seen(one) for one in strings(data[key]))


@given(st.text() | st.text(alphabet='{}[]":,edit \\n3'), st.none() | st.text())
def test_whatever_comes_nothing_else_is_raised(answer, caption):
    with contextlib.suppress(UnparsableError):
        TASK.format_output([answer], {"caption": caption})
