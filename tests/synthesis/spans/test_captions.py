import pytest

from synthesis.spans.captions import captions
from synthesis.spans.pieces import pieces
from synthesis.words import content_words


def said(query, target, alike=False, title=""):
    return [(one.family, one.new) for one in captions(pieces(query), pieces(target), content_words(title), alike)]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("The dog of my neighbour sleeps", None),
        ("A dog on a bench", [("bare", "a dog on a bench")]),
        ("Two images in the window", [("bare", "two images in the window")]),
        (
            "Old lighthouse in winter",
            [("things", "old lighthouse in winter"), ("articles", "old lighthouse in winter")],
        ),
        ("Rear hall", [("things", "rear hall")]),
        ("Browsing Files", [("doings", "browsing Files")]),
        ("Joining two images with Join", [("doings", "joining two images with Join")]),
        ("Split file", [("deeds", "split file")]),
        ("Old lighthouses in winter", [("things", "old lighthouses in winter")]),
        ("Mount Fuji at dawn", [("bare", "Mount Fuji at dawn")]),
        ("Building a model with SymPy", [("gerunds", "building a model with SymPy")]),
        ("Calculate confidence intervals", [("deeds", "calculate confidence intervals")]),
        ("How to bake a loaf", [("deeds", "bake a loaf")]),
        ("Using an ExpressionModel", [("ones", "using an ExpressionModel")]),
        ("Dragging images with a tool", [("doings", "dragging images with a tool")]),
        ("Engine", [("parts", "engine")]),
        ("Rear view", [("parts", "rear view")]),
        ("Threshold (soft)", [("things", "threshold (soft)")]),
        ("Example of a loaf on a table", [("bare", "a loaf on a table")]),
    ],
)
def test_a_span_by_its_shape(target, expected):
    assert said("A cat", target) == (expected or [])


@pytest.mark.parametrize(
    "target",
    [
        "the cat",
        "example of a result",
        "Detailed Description",
        "IMG_2041_final_v2",
        "someone@example.org",
        "Image courtesy of Jane Doe",
        "My first dog",
        "See the list above",
        "This is a dog",
        "wide and",
        "of the and in",
        "1, 2, 3",
        "Data, Fit, Data - Fit",
        "Chicago River - Gamma Correction",
        "Ready to join",
        "Montage default",
        "h360° v147°",
        "",
    ],
)
def test_silence(target):
    assert said("A cat", target) == []


def test_words_of_the_pages_title_tell_no_picture_from_its_neighbours():
    assert said("Dough", "Finished loaf", title="The finished loaf") == []
    assert said("Dough", "Finished loaf", title="Baking") == [("things", "finished loaf")]


def test_what_is_said_of_the_same_thing():
    assert said("The bridge at noon", "The bridge covered by fog") == [("times", "covered by fog")]
    assert said("The bridge at noon", "The bridge covered by ivy", alike=True) == [("manners", "covered by ivy")]
    assert said("The bridge at noon", "The bridge covered by ivy") == [("leads", "covered by ivy")]
    assert said("Fit multiple sets", "Fit with data in a frame", alike=True) == [("leads", "with data in a frame")]
    assert said("Corrected image", "Corrected image in the editor") == [("things", "corrected image in the editor")]


def test_back_to_the_original():
    found = captions(pieces("Emboss"), pieces("Original image"), set(), True)
    assert [(one.family, one.new, one.old) for one in found] == [
        ("origins", "original", ""),
        ("undone", "original", "emboss"),
    ]
    assert said("Emboss", "Original", alike=False) == []


def test_long_texts_are_cut_at_a_joint():
    long = "Panorama of the harbour with many small boats and a lighthouse behind the wall that was built of stone"
    ((_, new), *_) = said("A cat", long)
    assert new == "panorama of the harbour with many small boats and a lighthouse"
    assert said("A cat", "one two three four five six seven eight nine ten eleven twelve thirteen words") == []


def test_a_part_belongs_to_what_the_query_names():
    assert said("Ford Model T", "Engine") == [("parts", "engine")]
    assert said("Animation Demo Scenes", "Interior") == [("things", "interior")]
    assert said("Language", "Interior") == [("things", "interior")]
