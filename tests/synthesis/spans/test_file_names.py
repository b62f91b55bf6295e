import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.spans.file_names import name_words, names_file, plausible


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.org/x/distort-arc-tile.png?v=2#top", ["distort", "arc", "tile"]),
        ("http://a.org/01_Cherry_Wood.jpg", ["cherry", "wood"]),
        ("A1_box_symmetric.jpg", ["box", "symmetric"]),
        ("300px-Red_fox.jpg", ["red", "fox"]),
        ("DropShadow-transparentBorder.png", ["drop", "shadow", "transparent", "border"]),
        ("rotated-90.png", ["rotated", "90"]),
        ("halfwave-screen.png", ["halfwave"]),
        ("Blend_mode3.png", []),
        ("kdf_black_mbr.png", []),
        ("9f86d081884c7d659a2feaa0c55ad015.png", []),
        ("http://[", []),
        ("", []),
    ],
)
def test_name_words(url, expected):
    assert name_words(url) == expected


def test_a_text_that_is_a_file_name():
    assert names_file("crater dat", "http://a.org/crater_dat.png")
    assert names_file("trace-wicker", "trace-wicker.jpg")
    assert not names_file("Montage frame", "montage-frame.png")
    assert not names_file("A crater", "crater.png")


@pytest.mark.parametrize(
    "word", "ripples crater torus spherical onion flopped depth strength rhythm gamma scope".split()
)
def test_words(word):
    assert plausible(word) == (word != "rhythm")


@pytest.mark.parametrize("word", "mtmand sunsethf wtorus mbr xy kdf ptpn".split())
def test_no_words(word):
    assert not plausible(word)


@given(st.text(max_size=60))
def test_names_of_any_address(url):
    found = name_words(url)
    assert all(word and word == word.lower() for word in found)
