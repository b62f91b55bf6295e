"""Phrases that may name things, and the names in which they meet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.phrases import MAX_ENTITY, PhraseFinder, RulePhrases, entity_of


def names(text: str) -> list[str]:
    finder: PhraseFinder = RulePhrases()
    return list(finder.phrases(text, "en"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Eiffel Tower at night in Paris", ["Eiffel Tower", "Paris", "night"]),
        ("a red fox in the snow", ["red fox", "snow"]),
        ("Transformation — Wand 0.6.11", ["Transformation", "Wand 0.6.11"]),
        ("Bridge of Sighs, Venice", ["Bridge of Sighs", "Venice", "Bridge", "Sighs"]),
        ("The MPU6050 sensor", ["MPU6050", "MPU6050 sensor"]),
        ("Loading the sample images", ["sample images"]),
        ("Blick auf den Kölner Dom", ["Kölner Dom", "Blick"]),
        ("Big Ben, courtesy of Jane Doe", ["Big Ben"]),
        ("lighthouse (photo by Jane Doe)", ["lighthouse"]),
        ("富士山", ["富士山"]),
        ("", []),
        ("--- ...", []),
    ],
)
def test_rules_find_names_first_and_then_noun_phrases(text: str, expected: list[str]) -> None:
    assert names(text) == expected


def test_longer_runs_than_asked_for_are_no_names() -> None:
    assert RulePhrases(max_words=2).phrases("Golden Gate Bridge and Marin Headlands", "en") == ["Marin Headlands"]


@pytest.mark.parametrize(
    ("phrase", "name"),
    [
        ("The Lighthouses", "lighthouse"),
        ("Red  Foxes", "red fox"),
        ("Cities", "city"),
        ("St. Mary's", "st mary"),
        ("the glass", "glass"),
        ("Cactus", "cactus"),
        ("Wand 0.6.11", "wand"),
        ("Boeing 747", "boeing 747"),
        ("Autopano-sift-C", "autopano sift c"),
        ("ＭＰＵ6050", "mpu6050"),
        ("screenshot", None),
        ("Example figures", None),
        ("2019", None),
        ("of the", None),
        ("ab", None),
        ("大本鐘", "大本鐘"),
        ("x" * 61, None),
        ("alpha beta gamma delta epsilon zeta", None),
    ],
)
def test_spellings_of_a_name_meet(phrase: str, name: str | None) -> None:
    assert entity_of(phrase) == name


@given(st.text(max_size=200))
def test_any_text_gives_bounded_names_that_stay_as_they_are(text: str) -> None:
    for phrase in names(text):
        name = entity_of(phrase)
        if name is not None:
            assert 1 <= len(name) <= MAX_ENTITY
            assert name == " ".join(name.split())
