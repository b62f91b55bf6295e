import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.spans import lexicon


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dog", "a"),
        ("old dog", "an"),
        ("hour glass", "an"),
        ("university", "a"),
        ("European map", "a"),
        ("umbrella", "an"),
        ("MRI scan", "an"),
        ("UFO", "a"),
        ("unusual view", "an"),
        ("one-way street", "a"),
    ],
)
def test_article(text, expected):
    assert lexicon.article(text) == expected


@pytest.mark.parametrize(
    "token", ["IMG_2041_final", "shot20190312", "a@b.org", "fit.png", "_x", "AliasingPTpoly3", "media3"]
)
def test_debris(token):
    assert lexicon.debris(token)


@pytest.mark.parametrize("token", ["Spyder5", "NumPy", "cm_ExecuteScript", "4x4", "1211", "3.7", "d3.js", "well-known"])
def test_names_are_no_debris(token):
    assert not lexicon.debris(token)


def test_what_tokens_open_with():
    assert lexicon.gerund("building a model".split())
    assert not lexicon.gerund("sliding door open".split())
    assert lexicon.deed("calculate confidence intervals".split())
    assert lexicon.deed("fit multiple data sets".split())
    assert not lexicon.deed("create project dialog".split())
    assert not lexicon.deed("the two towers".split())
    assert lexicon.counted("two images in the window".split())
    assert not lexicon.counted("four exposure panorama".split())
    assert lexicon.participle("covered by fog".split(), 0)
    assert not lexicon.participle("covered bridge".split(), 0)


@pytest.mark.parametrize("text", ["A dog", "Café on the corner", "Über den Wolken", "3 x 4", "Los Angeles"])
def test_english_or_too_short_to_tell(text):
    assert lexicon.spoken(text)


@pytest.mark.parametrize(
    "text", ["Der Hund und die Katze mit dem Ball", "Собака", "Le chat dans les bois", "東京タワー", "żółte źdźbło"]
)
def test_other_languages(text):
    assert not lexicon.spoken(text)


def test_telling_words():
    assert lexicon.telling("Examples of the dithered result, 4x4", set()) == {"dithered"}
    assert lexicon.telling("Two dogs", {"dog"}) == {"two"}
    assert [lexicon.number(word) for word in ("4x4", "12", "h180", "mp3s")] == [True, True, True, False]
    assert [lexicon.measure(word) for word in ("4x4", "12", "h180")] == [True, False, True]


@given(st.text(max_size=40))
def test_any_text_may_be_asked_about(text):
    for ask in (lexicon.debris, lexicon.spoken, lexicon.number, lexicon.measure, lexicon.plural, lexicon.names_quality):
        assert ask(text) in (True, False)
