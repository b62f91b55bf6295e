"""Texts of queries: the published templates letter by letter."""

from __future__ import annotations

import pytest

from evaluation.templates import TEMPLATES, template
from schemas.errors import ConfigurationError

CAPTIONS = {"caption1": "Is RED. ", "caption2": "has no sleeves?"}


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        (None, ["Is RED.  and has no sleeves?"]),
        (
            "searle",
            ["a photo of $ that Is RED and has no sleeves", "a photo of $ that has no sleeves and Is RED"],
        ),
        ("clip4cir", ["Is red and has no sleeves"]),
        ("cirevl", ["Is RED and has no sleeves"]),
        ("magiclens", ["Is RED.  and has no sleeves?"]),
        ("bge-vl", ["Is RED. , and has no sleeves?"]),
        ("a dress, {caption2}", ["a dress, has no sleeves?"]),
    ],
)
def test_fashioniq(name, texts):
    assert template("fashioniq", name).render(CAPTIONS) == texts


@pytest.mark.parametrize(
    ("benchmark", "name", "fields", "text"),
    [
        ("circo", "searle", {"caption": "is red"}, "a photo of $ that is red"),
        ("circo", "magiclens", {"caption": "is red", "shared_concept": "a dog"}, "find a dog but is red"),
        ("cirr", "searle", {"caption": "is red"}, "a photo of $ that is red"),
        ("dtin", None, {"domain": "toy"}, "a toy of *"),
        ("dtin", "magiclens", {"domain": "toy"}, "find this object in toy"),
        ("genecis", None, {"caption": "colour"}, "colour"),
    ],
)
def test_others(benchmark, name, fields, text):
    assert template(benchmark, name).render(fields) == [text]


def test_benchmarks_of_images_alone_have_none():
    assert template("roxford", None) is None
    with pytest.raises(ConfigurationError, match="have no text"):
        template("roxford", "searle")


@pytest.mark.parametrize("asked", ["unknown", "{", "{}"])
def test_unknown_ones_are_refused(asked):
    with pytest.raises(ConfigurationError, match="template"):
        template("cirr", asked)
    assert "plain" in TEMPLATES["cirr"]


def test_fields_that_are_not_there():
    with pytest.raises(ConfigurationError, match="'colour', which the benchmark does not have: there are caption"):
        template("cirr", "{colour}").render({"caption": "x"})
