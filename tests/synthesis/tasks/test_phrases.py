import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.tasks.phrases import Kind, phrases, segments


def texts(query, target, alike=False, kind=None):
    return [one.text for one in phrases(query, target, alike) if kind in (None, one.kind)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Chicago River - Gamma Correction", [["chicago", "river"], ["gamma", "correction"]]),
        ("Auto Threshold (``'kapur'``)", [["auto", "threshold"], ["kapur"]]),
        (
            "A view of Paris, taken from the Eiffel Tower.",
            ["a view of Paris".split(), "taken from the Eiffel Tower".split()],
        ),
        ("Fit Using NumPy", [["fit", "using", "NumPy"]]),
        ("The bay © Jane Doe", [["the", "bay"]]),
        ("The bay, photo by Jane Doe", [["the", "bay"]]),
        ("3.5 mm lens", [["3.5", "mm", "lens"]]),
        ("... -- ()", []),
    ],
)
def test_segments(text, expected):
    assert segments(text) == expected


def test_what_is_said_of_the_same_thing_goes_before_other_things():
    found = phrases("The bridge at noon", "The bridge covered by fog in the morning", False)
    assert {one.kind for one in found} == {Kind.MANNER}
    assert [one.text for one in found] == ["covered by fog in the morning", "covered by fog"]
    assert texts("The bridge at noon", "The bridge in thick fog", alike=True) == ["in thick fog"]
    whole, fog = found
    assert (whole.time, fog.time) == (True, True)


def test_another_thing_is_no_manner_of_the_first():
    found = phrases("A red fox in the forest", "An old lighthouse in winter", False)
    assert {one.kind for one in found} == {Kind.THING}
    assert [one.text for one in found] == ["old lighthouse in winter", "old lighthouse", "winter"]


@pytest.mark.parametrize(
    "target", ["no reflection", "Cup without reflection", "not a reflection", "water, no reflection"]
)
def test_what_is_denied_is_not_asked_for(target):
    found = texts("Illuminated twice", target, alike=True)
    assert not {"reflection", "a reflection"} & set(found)
    assert texts("Illuminated twice", "no reflection", alike=True) == ["no reflection"]


def test_titles_of_variants_are_traits():
    assert texts("Chicago River - Gamma", "Chicago River - Sinusoid function", kind=Kind.TRAIT) == ["sinusoid function"]
    assert texts("Montage frame", "Montage label") == ["label"]
    assert texts("Sepia tone", "Wave", alike=True, kind=Kind.TRAIT) == ["wave"]
    assert texts("Sepia tone", "Wave", alike=False, kind=Kind.THING) == ["wave"]


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("The same words", "same words"),
        ("Chicago River - Gamma", "Chicago River"),
        ("Figure of a cat", "a cat, 3"),
        ("Dither 3x3", "Dither 4x4"),
        ("A cat", "example of a result"),
        ("A cat", "IMG_2041_final_v2"),
        ("A cat", "shot20190312"),
        ("A cat", "someone@example.org"),
        ("A cat", "of the and in"),
        ("A cat", "1, 2, 3"),
        ("A cat", "Image courtesy of Jane Doe"),
        ("A cat", "wide and"),
        ("A cat", ""),
    ],
)
def test_nothing_to_say(query, target):
    assert texts(query, target) == []


def test_phrases_end_where_a_phrase_ends():
    found = texts("Edge", "Thick edge out", alike=True)
    assert found == ["thick edge out"]
    assert texts("A cat", "The dog of my neighbour") == ["dog of my neighbour", "dog", "neighbour"]
    assert texts("A cat", "Learn how to compute the derivative")[-1] == "derivative"
    assert not any(one.startswith("compute") for one in texts("A cat", "Learn how to compute the derivative"))


def test_heads():
    by_text = {one.text: one for one in phrases("A cat", "Rear views with display", False)}
    whole = by_text["rear views with display"]
    assert (whole.head, whole.plural, whole.noun) == ("views", True, True)
    (original,) = phrases("Wave", "Original", True)
    assert original.state
    (sharpen,) = phrases("Wave", "Sharpen", True)
    assert sharpen.act
    (glass,) = phrases("Wave", "Glass", False)
    assert not glass.plural


_LINES = st.lists(
    st.sampled_from(
        "the a of in with Bridge bridge fog Paris covered by taken - ( ) , 3 4x4 IMG_1 edge out NumPy".split()
    ),
    max_size=14,
).map(" ".join)


@given(st.text(max_size=60) | _LINES, st.text(max_size=120) | _LINES, st.booleans())
def test_a_phrase_is_consecutive_words_of_the_target(query, target, alike):
    flat = [" ".join(tokens).casefold() for tokens in segments(target)]
    for one in phrases(query, target, alike):
        assert any(f" {one.text.casefold()} " in f" {line} " for line in flat)
        assert 1 <= len(one.text.split()) <= 6
