import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.config import TaskConfig
from synthesis.tasks.templates import EXCHANGES, REQUESTS, WORDS, Templates, shortened
from synthesis.words import words

TASK = Templates(TaskConfig(texts=3))


def pair(query, target):
    return {"query_text": query, "target_text": target}


def texts(task, row):
    return [one.text for one in task.texts(row)]


def test_every_template_names_both_once():
    assert len(REQUESTS) == 15
    assert len(set(EXCHANGES + REQUESTS)) == len(EXCHANGES) + 15
    for template in EXCHANGES + REQUESTS:
        assert sorted(re.findall(r"\{\d\}", template)) == ["{0}", "{1}"]


def test_texts_are_templates_over_both_captions():
    allowed = {one.format("a cat", "two dogs on a sofa") for one in EXCHANGES + REQUESTS}
    row = {"query_text": "IMG 12", "query_caption": "A cat.", "target_text": "Two dogs on a sofa"}
    found = TASK.texts(row)
    assert len({one.text for one in found}) == 3
    assert {one.text for one in found} <= allowed
    assert {(one.category, one.direction, one.length) for one in found} == {(None, "forward", None)}
    assert TASK.steps == ()


def test_the_choice_is_told_by_seed_and_captions():
    row = pair("a cat", "two dogs")
    assert texts(TASK, row) == texts(Templates(TaskConfig(texts=3)), {**row, "pair_id": "other", "page_title": "x"})
    assert texts(Templates(TaskConfig(texts=2)), row) == texts(TASK, row)[:2]
    assert texts(Templates(TaskConfig(texts=3, seed=1)), row) != texts(TASK, row)
    # Worked out once: the same on every machine.
    assert texts(Templates(TaskConfig(texts=2)), row) == [
        "drop a cat and bring in two dogs",
        "replace a cat with two dogs",
    ]


def test_no_template_leads():
    found = Counter()
    for number in range(300):
        found.update(text.replace(str(number), "#") for text in texts(TASK, pair(f"cat {number}", f"dog {number}")))
    assert len(found) == len(EXCHANGES + REQUESTS)
    assert max(found.values()) < 0.3 * 300


@pytest.mark.parametrize(
    ("query", "target"),
    [
        (None, "two dogs"),
        ("a cat", None),
        ("", "two dogs"),
        ("a cat", " \u200b "),
        ("a cat", "A cat."),
        ("a cat on a red sofa", "the red sofa"),
        ("...", "two dogs"),
        ("a cat", "一只狗在沙滩上奔跑" * 10),
    ],
)
def test_silence(query, target):
    assert TASK.texts(pair(query, target)) == ()


def test_braces_in_a_caption_are_no_places():
    for text in texts(TASK, pair("a {1} cat", "a {0} dog")):
        assert "a {1} cat" in text
        assert "a {0} dog" in text


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A cat", "a cat"),
        ("Solarize", "Solarize"),
        ("A photo of a black dog running along an empty beach at sunset.", "a black dog running along an empty beach"),
        ("The image shows two red buses, parked in front of the old station", "two red buses, parked"),
        ("Aerial view of Paris", "Aerial view of Paris"),
        ("Chicago River - Gamma Correction", "Chicago River - Gamma Correction"),
        ("The old bridge across the river - all of its arches", "the old bridge across the river"),
        ("Minimization by the brute method (also known as grid search)", "Minimization by the brute method"),
        ("Edge In", "Edge In"),
        ("A bridge -", "a bridge"),
        ("Dr. Smith in his lab. He is happy.", "Dr. Smith in his lab"),
        ("Fig. 3: a plot of data", "Fig. 3: a plot of data"),
        ("A golden retriever puppy that sleeps on the", "a golden retriever puppy that sleeps"),
        ("A man looking up", "a man looking up"),
        ("One two three four five six seven eight nine", "One two three four five six seven eight"),
        ("version 2.5 of it", "version 2.5 of it"),
        ("...", ""),
        ("", ""),
    ],
)
def test_captions_are_shortened_sensibly(caption, expected):
    assert shortened(caption) == expected


@given(st.text() | st.lists(st.sampled_from("a cat, with the - photo of dog. on beach".split())).map(" ".join))
def test_a_shortened_caption_is_part_of_it(caption):
    found = shortened(caption)
    assert len(found.split()) <= WORDS
    held = words(caption)
    left = iter(held)
    assert all(word in left for word in words(found))
    assert found == "" or words(found)


@given(st.text() | st.none(), st.text() | st.none(), st.integers(min_value=1, max_value=8))
def test_any_texts(query, target, number):
    found = texts(Templates(TaskConfig(texts=number)), pair(query, target))
    assert len(found) in (0, number)
