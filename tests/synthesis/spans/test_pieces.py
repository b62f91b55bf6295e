import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.spans.pieces import code, pieces


def parted(text):
    return [(piece.mark, piece.text) for piece in pieces(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Chicago River - Gamma Correction", [("", "Chicago River"), ("-", "Gamma Correction")]),
        ("Auto Threshold (``'kapur'``)", [("", "Auto Threshold"), ("(", "kapur")]),
        ("Search: Advanced", [("", "search"), (":", "advanced")]),
        ("A view of Paris, taken from above.", [("", "a view of Paris"), (",", "taken from above")]),
        ("The red, green and blue channels", [("", "the red, green and blue channels")]),
        ("Fit Using NumPy", [("", "Fit using NumPy")]),
        ("Parameter with cm_ExecuteScript", [("", "parameter with cm_ExecuteScript")]),
        ("The bay © Jane Doe", [("", "the bay")]),
        ("The bay, with kind permission of Jane Doe", [("", "the bay")]),
        ("Processed image(s)", [("", "processed image")]),
        ("First. Second", [("", "first"), (".", "second")]),
        ("3.5 mm lens", [("", "3.5 mm lens")]),
        ("... -- ()", []),
    ],
)
def test_pieces(text, expected):
    assert parted(text) == expected


def test_capitals_of_first_words_are_lowered_those_of_names_and_headings_stay():
    assert [piece.name for piece in pieces("Mount Fuji at dawn")] == [True]
    assert parted("Mount Fuji at dawn") == [("", "Mount Fuji at dawn")]
    assert parted("Standard Panini projection") == [("", "Standard Panini projection")]
    assert parted("German version") == [("", "German version")]
    assert parted("Emboss") == [("", "emboss")]
    assert [piece.heading for piece in pieces("Range Threshold")] == [True]
    assert [piece.heading for piece in pieces("Range of values")] == [False]


@pytest.mark.parametrize("text", ["Model(_generated)", "a[0]", "x == y", "std::vector", "{a}"])
def test_code(text):
    assert code(text)
    assert not code("Auto Threshold (kapur), image(s)")


@given(st.text(max_size=120))
def test_pieces_hold_words_of_their_text_in_order(text):
    rest = text.casefold()
    for piece in pieces(text):
        for token in piece.tokens:
            assert token
            at = rest.find(token.casefold().rstrip(","))
            assert at >= 0
            rest = rest[at:]
