"""Phrases by models: YAKE where it is installed, and a tiny tagger through the code that large ones take."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny_models

from mining.miners.entities_config import EntitiesConfig
from mining.models.phrase_models import NerPhrases, YakePhrases, load_phrase_finder, tagged_spans
from mining.phrases import PhraseFinder
from schemas.errors import ConfigurationError, MissingPackageError

HAS_YAKE = importlib.util.find_spec("yake") is not None


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tagger(tmp_path_factory.mktemp("models") / "tagger")


def test_a_tagger_finds_spans_of_the_text(tagger: Path) -> None:
    finder: PhraseFinder = NerPhrases(str(tagger))
    assert (finder.name, finder.revision) == ("tagger", "local")
    # The tiny model is made so that "red" begins an entity and "cat" goes on with it.
    assert list(finder.phrases("a red cat and a dog, red", "en")) == ["red cat", "red"]
    assert list(finder.phrases("a dog", None)) == []
    assert list(finder.phrases("", None)) == []
    assert next(iter(finder.phrases("red cat " * 300, None))).startswith("red cat")


def test_the_settings_choose_the_finder(tagger: Path) -> None:
    assert load_phrase_finder(EntitiesConfig()).name == "rules"
    assert load_phrase_finder(EntitiesConfig(phrases="ner", ner_model=str(tagger))).name == "tagger"


def test_a_text_is_tagged_the_same_whatever_comes_before(tagger: Path) -> None:
    finder = NerPhrases(str(tagger))
    alone = list(finder.phrases("a red cat", None))
    finder.phrases("x " * 200, None)
    assert list(finder.phrases("a red cat", None)) == alone


def test_what_is_no_tagger_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot load"):
        NerPhrases(str(tmp_path))
    with pytest.raises(ConfigurationError, match="no tag O"):
        NerPhrases(str(tiny_models.tagger(tmp_path / "other", tags=("X", "Y"))))


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ([("B-LOC", 0, 3), ("I-LOC", 4, 8), ("O", 9, 12)], ["New York"]),
        ([("B-LOC", 0, 3), ("B-LOC", 4, 8)], ["New", "York"]),
        ([("I-LOC", 0, 3), ("I-PER", 4, 8)], ["New", "York"]),
        ([("LOC", 0, 3), ("LOC", 4, 8)], ["New York"]),
        ([("B-LOC", 0, 2), ("O", 2, 3)], ["New"]),
        ([("O", 0, 2), ("B-LOC", 2, 3), ("B-LOC", 4, 8)], ["York"]),
        ([("O", 0, 3)], []),
        ([], []),
    ],
)
def test_tags_become_spans_of_whole_words(tags: list[tuple[str, int, int]], spans: list[str]) -> None:
    text = "New York now"
    assert [text[start:end] for start, end in tagged_spans(text, tags)] == spans


@pytest.mark.skipif(not HAS_YAKE, reason="needs yake")
def test_yake_finds_keywords() -> None:
    finder: PhraseFinder = YakePhrases(3)
    assert next(iter(finder.phrases("Golden Gate Bridge seen from Marin Headlands", "en"))) == "Golden Gate Bridge"
    assert list(finder.phrases("", None)) == []
    assert finder.phrases("Der alte Leuchtturm", "de")
    assert finder.phrases("Lighthouse at sea", "xx")


@pytest.mark.skipif(HAS_YAKE, reason="yake is installed")
def test_without_yake_the_error_says_how_to_get_it() -> None:
    with pytest.raises(MissingPackageError, match=r"lensmith\[phrases\]"):
        YakePhrases()
