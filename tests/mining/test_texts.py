from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.texts import MAX_TEXT, clean_text, page_texts, place_text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("A  cat\n on a\tmat", "A cat on a mat"),
        ("Figure 3: the moon", "the moon"),
        ("Fig. 3a – x-ray tube", "x-ray tube"),
        ("Abbildung 2.1: Der Turm", "Der Turm"),
        ("图 4-1 猫", "猫"),
        ("Рис. 5. Схема", "Схема"),
        ("Image 2 of 7: garden gate", "garden gate"),
        ("1. A cat", "A cat"),
        ("[4] a cat", "a cat"),
        ("2 - second step", "second step"),
        ("photo of a red car", "red car"),
        ("Bild von einem Hund", "einem Hund"),
        ("Thumbnail of Flow Diagram", "Flow Diagram"),
        ("CMP_Digital_Target", "CMP Digital Target"),
        ("blue-wool-hat", "blue wool hat"),
        ("<b>bold</b> move", "bold move"),
        ("see https://example.org/a/b for a map", "see for a map"),
        ("view of hat.jpg from above", "view of from above"),
        ("left view", "left view"),
        ("A heading¶", "A heading"),
        ("soft\u00adhyphen", "softhyphen"),
        ("[*]cubic panorama format[*]", "cubic panorama format"),
        ("overview (+)", "overview"),
    ],
)
def test_what_does_not_describe_is_removed(text: str, cleaned: str) -> None:
    assert clean_text(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "7-Zip ID",
        "2.5 mm lens",
        "3-D printing",
        "12-inch disk",
        "100% cotton shirt",
        "P-51 Mustang",
        "Company logo",
        "Image Engineering EX1",
        "2019. The year",
        "well-known",
        "A&B",
        "猫",
        "東京の夜景",
        "قطة على الطاولة",
        "C.R.T high res. spectrum.",
    ],
)
def test_what_describes_stays(text: str) -> None:
    assert clean_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        None, "", "   ", "-", "x", "42", "image", "Logo", "Image 3", "Image 1 of 5", "icon", "next",
        "Click to enlarge image", "foo.jpg", "../_images/foo.png?x=1", "IMG_20200101.jpg", "DSC_0123",
        "P1010101", "Screenshot 2020-01-01 at 10.22.33",
        "a3f4bc22d1e9f00a", "https://example.org/a.png", "Bild", "画像", "фото", "untitled", "null", "\u200b", "<img>",
    ],
)  # fmt: skip
def test_boilerplate_is_no_text(text: str | None) -> None:
    assert clean_text(text) is None


def test_long_texts_are_cut_at_a_blank() -> None:
    cut = clean_text("word " * 1000)
    assert cut is not None
    assert len(cut) <= MAX_TEXT
    assert set(cut.split()) == {"word"}
    assert clean_text("w" * 100_000) == "w" * MAX_TEXT


@given(st.text(max_size=300))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    cleaned = clean_text(text)
    assert cleaned is None or (clean_text(cleaned) == cleaned and 0 < len(cleaned) <= MAX_TEXT)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("text", ["<" * 200_000, "a-" * 200_000, "1." * 200_000, "a." * 200_000, " \n" * 200_000])
def test_hostile_texts_take_no_time(text: str) -> None:
    clean_text(text)


def row(**columns: object) -> dict[str, object]:
    return {"alt": None, "title": None, "caption": None, "heading": None, "group": 0} | columns


def test_alternative_text_comes_before_caption_and_title() -> None:
    assert place_text(row(alt="a cat", caption="its caption", title="its title")) == "a cat"
    assert place_text(row(alt="cat.jpg", caption="its caption", title="its title")) == "its caption"
    assert place_text(row(alt="image", caption=None, title="its title")) == "its title"
    assert place_text(row(heading="Cats > Persian")) is None


def test_the_name_of_the_file_is_no_text() -> None:
    assert place_text(row(url="http://a/skysph2.jpg?x", alt="skysph2", caption="a sphere of sky")) == "a sphere of sky"
    assert place_text(row(url="http://a/Tower7.jpg", alt="tower7")) is None
    assert place_text(row(url="http://a/tower.jpg", alt="tower")) == "tower"
    assert place_text(row(url="http://a/skysph2.jpg", alt="skysph3")) == "skysph3"


def test_headings_serve_pictures_that_have_one_to_themselves() -> None:
    rows = [
        row(group=0, heading="Cats > Persian¶"),
        row(group=1, heading="Cats > Siamese", alt="a Siamese cat"),
        row(group=2, heading="Cats > Tabby"),
        row(group=3, heading="Cats > Tabby"),
        row(group=4, heading="Cats"),
        row(group=5, heading="Cats > Manx"),
        row(group=5, heading="Cats > Manx", alt="thumb.jpg"),
        row(group=6, heading="Cats > Sphynx", alt="a bald cat"),
        row(group=6, heading="Cats > Sphynx"),
    ]
    assert page_texts(rows) == ["Persian", "a Siamese cat", None, None, None, "Manx", "Manx", "a bald cat", None]
