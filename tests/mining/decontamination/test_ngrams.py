import numpy as np
import pytest

from mining.decontamination.ngrams import ngram_hashes, words_of

TEXT = "The same dog lies on a red sofa, seen from the side"


def test_case_width_and_punctuation_do_not_matter():
    assert words_of("Ａ  RED, sofa—Straße!") == ["a", "red", "sofa", "strasse"]
    assert words_of("caf\u0065\u0301 caf\u00e9") == ["café", "café"]
    assert np.array_equal(ngram_hashes(TEXT), ngram_hashes(TEXT.upper().replace(" ", " - ")))


def test_every_sign_of_scripts_without_blanks_is_a_word():
    assert words_of("红色的狗 dog2") == ["红", "色", "的", "狗", "dog2"]
    assert len(ngram_hashes("一只红色的狗躺在沙发上")) == 11 - 8 + 1


@pytest.mark.parametrize(("words", "count"), [(2, 11), (8, 5), (12, 1), (13, 0)])
def test_a_text_has_the_ngrams_of_its_length(words, count):
    grams = ngram_hashes(TEXT, words)
    assert grams.dtype == np.uint64
    assert len(grams) == count
    assert np.array_equal(grams, np.unique(grams))


def test_repeated_ngrams_count_once_and_empty_texts_have_none():
    assert len(ngram_hashes("ha " * 30)) == 1
    assert len(ngram_hashes("")) == len(ngram_hashes("… !!")) == 0


def test_hashes_stay_what_they_are():
    # They stand in files: another number would find nothing any more.
    assert [f"{one:016x}" for one in ngram_hashes("a b c", 2).tolist()] == ["8a73316e14f6b004", "bb37dea5c027f928"]
