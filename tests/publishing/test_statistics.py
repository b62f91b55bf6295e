"""Statistics of triplets, and the card that shows them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from publishing.card import render_card, size_category
from publishing.config import PublishConfig
from publishing.description import Description, Facts
from publishing.statistics import SKETCH_SIZE, DatasetStatistics, DistinctSketch, license_class


@pytest.mark.parametrize(
    ("license", "expected"),
    [
        (None, "not stated"),
        ("", "not stated"),
        ("https://creativecommons.org/licenses/by-sa/4.0/deed.de", "CC BY-SA 4.0"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0 1.0"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "Public Domain Mark 1.0"),
        ("https://creativecommons.org/licenses/by/", "CC BY"),
        ("All rights reserved", "other"),
    ],
)
def test_license_class(license, expected):
    assert license_class(license) == expected


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 59), max_size=60), st.integers(0, 60))
def test_counts_are_the_same_however_the_rows_are_dealt_out(order, cut):
    from datetime import UTC, datetime

    rows = [
        {
            "page_id": str(number % 7),
            "page_url": f"http://{number % 3}.example/",
            "crawl_date": datetime(2026, 1, 1 + number % 28, tzinfo=UTC),
            "instruction": "word " * (number % 5),
            "visual_similarity": number / 60,
        }
        for number in order
    ]
    whole = DatasetStatistics().add_all("train", rows)
    parts = DatasetStatistics().add_all("train", rows[cut:]).merge(DatasetStatistics().add_all("train", rows[:cut]))
    assert parts.to_json() == whole.to_json()
    assert DatasetStatistics.from_json(whole.to_json()).to_json() == whole.to_json()


def test_distinct_values_are_counted_exactly_and_then_estimated():
    sketch = DistinctSketch()
    for number in range(900):
        sketch.add(str(number))
        sketch.add(str(number // 2))
    assert (sketch.exact, sketch.count) == (True, 900)
    other = DistinctSketch()
    for number in range(500, 30_000):
        other.add(str(number))
    sketch.merge(other)
    assert not sketch.exact
    assert len(sketch.smallest) == SKETCH_SIZE
    assert sketch.count == pytest.approx(30_000, rel=0.1)


def test_what_the_web_says_cannot_break_the_card():
    evil = "</details>| a `b` <script>\n# head [x](javascript:1)"
    rows = [{"page_id": "p", "page_url": "http://a.example/", "instruction": evil, "language": evil, "mining": evil}]
    statistics = DatasetStatistics().add_all("train", rows)
    facts = Facts(version="1", sources=(evil,))
    card = render_card(Description("run", PublishConfig(), facts, (), statistics))
    assert "<script>" not in card.replace("\\<script\\>", "")
    assert "\n# head" not in card
    assert card.count("</details>") == card.count("<details")


@pytest.mark.parametrize(
    ("rows", "name"), [(0, "n<1K"), (1000, "1K<n<10K"), (3 * 10**7, "10M<n<100M"), (10**10, "n>1B")]
)
def test_size_category(rows, name):
    assert size_category(rows) == name
