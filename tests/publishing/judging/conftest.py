"""Rows of triplets that may be judged."""

import pytest

from schemas import ids


def _row(number, methods=("span_copy",), **more):
    texts = [
        {"text": f"text {number} {place}", "method": method, "category": None, "direction": "forward"}
        | {"length": ("short", "fine")[place % 2], "verdict": "pass"}
        for place, method in enumerate(methods)
    ]
    page = f"page{number // 3}"
    return {
        "pair_id": ids.pair_id(page, f"q{number}", f"t{number}"),
        "page_id": page,
        "page_title": "A page",
        "page_url": f"https://site.example/{page}.html",
        "instruction": texts[0]["text"],
        "instructions": texts,
        "query_image_id": f"q{number}",
        "target_image_id": f"t{number}",
        "query_image_url": f"https://site.example/q{number}.png",
        "target_image_url": f"https://site.example/t{number}.png",
        "query_text": "a cat",
        "target_text": "a dog",
        "query_label": None,
        "target_label": "dog",
    } | more


@pytest.fixture(scope="session")
def row():
    """`row(number, methods, **columns)`: a triplet with a text of each method."""
    return _row
