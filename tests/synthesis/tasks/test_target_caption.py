import json

import pytest

from synthesis.config import TaskConfig
from synthesis.tasks import make_task
from synthesis.tasks.interface import NothingToAsk, UnparsableError

ROW = {
    "pair_id": "pair",
    "page_id": "page",
    "page_url": "http://example.org/SECRET-url",
    "page_title": "SECRET title",
    "query_image_id": "0a1b",
    "target_image_id": "SECRET-id",
    "query_text": "The market square in July",
    "target_text": "SECRET text",
    "query_label": "fountain",
    "target_label": "SECRET label",
    "query_caption": "A square with cafe tables.",
    "target_caption": "SECRET caption",
    "target_captions": ("SECRET captions",),
    "instruction": "the same place in snow",
    "instructions": ["SECRET instructions"],
}
GOOD = "A snow-covered square in front of a town hall."


def task():
    return make_task("target_caption", TaskConfig())


@pytest.mark.parametrize("shown", [True, False])
def test_nothing_of_the_target_is_shown(shown):
    asked = task().format_input(ROW | {"show_images": shown})
    assert "SECRET" not in json.dumps([asked.messages, asked.image_ids])
    assert asked.image_ids == (("0a1b",) if shown else ())
    # Whatever a pair says of its target, the question is the same.
    other = {name: "other" if "SECRET" in str(value) else value for name, value in ROW.items()}
    assert task().format_input(other | {"show_images": shown}) == asked


def test_what_is_asked():
    asked = task().format_input(ROW)
    last = asked.messages[-1]["content"]
    for piece in ("The market square in July", "fountain", "A square with cafe tables.", "the same place in snow"):
        assert f'"{piece}"' in last
    assert len(asked.messages) == 8
    shown = task().format_input(ROW | {"show_images": True})
    assert len(shown.messages) == 2
    assert shown.messages[-1]["content"][0] == {"type": "image", "image": 0}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"instruction": None}, "instruction_missing"),
        ({"instruction": " \u200b"}, "instruction_missing"),
        ({"query_text": None, "query_label": None, "query_caption": ""}, "text_missing"),
    ],
)
def test_nothing_to_ask(changed, reason):
    assert task().format_input(ROW | changed) == NothingToAsk(reason)


def test_a_shown_image_needs_no_words():
    bare = {"query_image_id": "0a1b", "instruction": "in snow", "show_images": True}
    assert task().format_input(bare).image_ids == ("0a1b",)


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f'Caption: "{GOOD}"',
        f"Target caption: {GOOD}",
        f"<think>Snow. What else?</think>\n```\n{GOOD}\n```",
        f"Sure, here is a caption of the other image:\n\n{GOOD}",
    ],
)
def test_realistic_answers(answer):
    assert task().format_output([answer], ROW).facts == {"target_caption_written": GOOD}


def test_other_languages():
    text = "Ein verschneiter Platz vor dem Rathaus."
    assert task().format_output([text], ROW).facts == {"target_caption_written": text}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I cannot tell without seeing it.",
        "Please provide the image.",
        '{"caption": "A snow-covered square"}',
        "1. A square in snow\n2. A town hall in snow",
        "The second image shows a square in snow.",
        "A square, see http://example.org",
        "snow " * 200,
    ],
)
def test_broken_answers(answer):
    with pytest.raises(UnparsableError):
        task().format_output([answer], ROW)
