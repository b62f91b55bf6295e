from importlib.resources import files

import jinja2
import pytest

from synthesis.prompt_files import Demonstration, has_prompt, load_prompt

NAMES = sorted(
    one.name.removesuffix(".jinja") for one in files("synthesis.prompts").iterdir() if one.name.endswith(".jinja")
)


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_has_a_version_and_good_demonstrations(name):
    prompt = load_prompt(name)
    assert prompt.name == name
    assert prompt.version.isdigit()
    assert all(one.answer and one.row for one in prompt.demonstrations)
    assert prompt.source.startswith("{# version: ")


def test_messages_are_the_demonstrations_and_then_the_row():
    prompt = load_prompt("span_copy")
    row = {"page_title": "Old bridges", "query_text": "The bridge in spring", "target_text": "The bridge in winter"}
    messages = prompt.render(row)
    roles = [message["role"] for message in messages]
    assert roles == ["system", *["user", "assistant"] * len(prompt.demonstrations), "user"]
    assert "Old bridges" in messages[-1]["content"]
    chosen = [Demonstration(row | {"page_title": "Mills"}, "Show it in winter")]
    messages = prompt.render(row, demonstrations=chosen)
    assert len(messages) == 4
    assert "Mills" in messages[1]["content"]
    assert messages[2] == {"role": "assistant", "content": "Show it in winter"}


def test_images_stand_where_the_prompt_names_them():
    prompt = load_prompt("modification_megapairs.describe")
    row = {"query_text": "a \x000\x00 cat", "target_text": "dog"}
    (user,) = [message for message in prompt.render(row) if message["role"] == "user"]
    shown = [part["image"] for part in user["content"] if part["type"] == "image"]
    # What a page writes shows no image, though it looks like the mark of one.
    assert shown == [0, 1]


def test_what_the_row_lacks_is_an_error_and_not_silence():
    with pytest.raises(jinja2.UndefinedError):
        load_prompt("span_copy").render({})
    assert not has_prompt("no_such_prompt")
