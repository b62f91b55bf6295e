import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.writers.openai_body import body_of, data_uri, read_answer, retry_after

REQUEST = {
    "messages": [{"role": "user", "content": "q"}],
    "parameters": {"seed": 1, "image_side": 768, "grammar": 'root ::= "a"', "schema": {"type": "object"}},
}


def test_parameters_are_sent_by_the_names_that_endpoints_know():
    body = json.loads(body_of(REQUEST, "m", "schema"))
    assert body == {
        "model": "m",
        "messages": REQUEST["messages"],
        "seed": 1,
        "grammar": 'root ::= "a"',
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": {"type": "object"}},
        },
    }
    assert json.loads(body_of(REQUEST, "m", "object"))["response_format"] == {"type": "json_object"}
    assert "response_format" not in json.loads(body_of(REQUEST, "m", "off"))
    named = json.loads(body_of({**REQUEST, "prompt": "modification.common, part 2"}, "m", "schema"))
    assert named["response_format"]["json_schema"]["name"] == "modification_common_part_2"


def test_an_image_stands_where_its_number_stood():
    parts = [{"type": "image", "image": 1}, {"type": "text", "text": "or"}, {"type": "image", "image": 0}]
    request = {
        "messages": [{"role": "user", "content": parts}],
        "parameters": {},
        "images": [b"\xff\xd8\xffa", b"GIF89a"],
    }
    content = json.loads(body_of(request, "m", "off"))["messages"][0]["content"]
    assert content == [
        {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlh"}},
        {"type": "text", "text": "or"},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/YQ=="}},
    ]
    assert parts[0] == {"type": "image", "image": 1}


@pytest.mark.parametrize(
    ("image", "kind"), [(b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"), (b"RIFF\0\0\0\0WAVE", "application/octet-stream")]
)
def test_the_bytes_tell_the_type(image, kind):
    assert data_uri(image).startswith(f"data:{kind};base64,")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("3", 3), (" 1.5 ", 1.5), ("-1", 0), ("", 0), ("soon", 0), ("nan", 0), ("inf", 0), ("1e999", 0)),
        *((formatdate(1_000_007, usegmt=True), 7), (formatdate(999_000, usegmt=True), 0)),
    ],
)
def test_seconds_to_wait(value, seconds):
    assert retry_after(value, 1_000_000.0) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,9} [A-Z][a-z]{2} [0-9]{1,9} [0-9:]{1,9} GMT"))
def test_no_header_ends_a_run(value):
    assert retry_after(value, 1_000_000.0) >= 0


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["choices", "message", "content", "usage", "prompt_tokens"]), inner)
        ),
    )
)
def test_any_json_is_an_answer_or_a_bad_one(value):
    asked = read_answer(200, {}, json.dumps(value).encode(), False)
    assert (asked.fields is None) == (asked.error == "bad_answer")


def test_odd_counts_of_tokens_are_none():
    choices = [{"message": {"content": "a"}}]
    for usage in (None, 3, {"prompt_tokens": "3", "completion_tokens": True}, {"prompt_tokens": -1}):
        fields = read_answer(200, {}, json.dumps({"choices": choices, "usage": usage}).encode(), False).fields
        assert (fields["prompt_tokens"], fields["completion_tokens"], fields["finish_reason"]) == (None, None, None)


def test_a_reason_that_no_table_can_hold_is_cut():
    answer = {"choices": [{"message": {"content": "fine"}, "finish_reason": "\ud800stop" + "p" * 99}]}
    fields = read_answer(200, {}, json.dumps(answer).encode(), False).fields
    assert fields is not None
    assert fields["finish_reason"] == "stop" + "p" * 35
