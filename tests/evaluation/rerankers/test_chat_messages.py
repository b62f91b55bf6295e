"""What a chat model is asked, and how its answers are read."""

from __future__ import annotations

import base64
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evaluation.rerankers.chat_messages import (
    UnknownImageError,
    UnreadableAnswerError,
    content_of,
    data_uri,
    parse_order,
)


@pytest.mark.parametrize(
    ("answer", "order"),
    [
        ("[2, 0, 1]", [2, 0, 1]),
        ("[2]", [2, 0, 1]),
        ("Of [0, 1, 2] the best are:\n```json\n[1, 2]\n```", [1, 2, 0]),
        ("[1, 0, 2] as [I] see [it]", [1, 0, 2]),
        ('{"order": [2, 1, 0]}', [2, 1, 0]),
    ],
)
def test_orders_are_read_from_the_last_list(answer, order):
    assert parse_order(answer, 3).tolist() == order


@given(st.permutations(range(6)), st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_any_beginning_of_an_order_is_completed(order, count):
    result = parse_order(json.dumps(order[:count]), 6).tolist()
    assert result[:count] == order[:count]
    assert result[count:] == sorted(order[count:])


@given(st.text(alphabet="[]0123456789,. -{}e", max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_answer_is_a_permutation_or_unreadable(text):
    try:
        order = parse_order(text, 4)
    except UnreadableAnswerError:
        return
    assert sorted(order.tolist()) == [0, 1, 2, 3]


@given(st.text(max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_body_is_a_text_or_unreadable(body):
    try:
        assert isinstance(content_of(body), str)
    except UnreadableAnswerError:
        return


@pytest.mark.parametrize(("kind", "media_type"), [("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("WEBP", "webp")])
def test_pictures_as_data_uris(kind, media_type):
    sink = io.BytesIO()
    Image.new("RGB", (4, 4), (9, 0, 0)).save(sink, kind)
    data = sink.getvalue()
    head, body = data_uri(data).split(",")
    assert head == f"data:image/{media_type};base64"
    assert base64.b64decode(body) == data
    with pytest.raises(UnknownImageError):
        data_uri(b"")
