import pytest

from synthesis.spans.contrast import contrasts
from synthesis.spans.pieces import pieces
from synthesis.words import content_words


def said(query, target, alike=True, title=""):
    found = contrasts(pieces(query), pieces(target), content_words(title), alike)
    return [(one.family, one.new, one.old, one.tail) for one in found if one.family != "versions"]


def versions(query, target, alike=True):
    return [one.new for one in contrasts(pieces(query), pieces(target), set(), alike) if one.family == "versions"]


@pytest.mark.parametrize(
    ("query", "target", "expected"),
    [
        # The same noun with other words before it.
        ("Circular projection", "Fisheye projection", ("otherkinds", "fisheye", "circular", "projection")),
        ("Brown eggs", "White eggs", ("manykinds", "white", "brown", "eggs")),
        ("Front view of the hall", "Rear view of the hall", ("otherkinds", "rear", "front", "view")),
        ("Blur", "Motion blur", ("kinds", "motion", "", "blur")),
        (
            "Fisheye projection h180° v180°",
            "Cubic projection h90° v90°",
            ("otherkinds", "cubic", "fisheye", "projection"),
        ),
        # The same beginning, and another end.
        ("Fit using bounds", "Fit using the Model interface", ("swaps", "the Model interface", "bounds", "")),
        ("ColorMunki Create", "ColorMunki Smile", ("titles", "ColorMunki Smile", "ColorMunki Create", "")),
        ("Gamma 1.0", "Gamma 2.2", ("values", "2.2", "1.0", "gamma")),
        # A piece of its own.
        (
            "River - Gamma correction",
            "River - Sinusoid function",
            ("nouns", "sinusoid function", "gamma correction", ""),
        ),
        ("Threshold (triangle)", "Threshold (otsu)", ("swaps", "otsu", "triangle", "")),
        ("River", "River - Gamma correction", ("switches", "gamma correction", "", "")),
        ("River - Gamma correction", "River", ("removals", "", "gamma correction", "river")),
        ("Archive", "Archive: example with advanced syntax", ("manners", "with advanced syntax", "", "")),
        # Something more.
        ("Montage frame", "Montage frame with thumbnail", ("additions", "a thumbnail", "", "")),
        ("Quantize", "Quantize Kmeans", ("switches", "Kmeans", "", "")),
        ("Measuring ambient", "Measuring paper", ("swaps", "measuring paper", "measuring ambient", "")),
        ("Browsing Jim", "Programming Jim", ("titles", "Programming Jim", "Browsing Jim", "")),
        ("Histogram with 10 bins", "Histogram with 50 bins", ("amounts", "50", "10", "bins")),
        ("sigma = 0.5", "sigma = 2.0", ("values", "2.0", "0.5", "sigma")),
        ("Temperature over time", "Humidity over time", ("nouns", "humidity", "temperature", "")),
        ("T-shirt, black, size M", "T-shirt, white, size M", ("swaps", "white", "black", "")),
        ("Before: the old hall", "After: the new hall", ("afters", "after", "", "")),
        ("After", "Before", ("befores", "before", "", "")),
        # Two labels as they are.
        ("Shade", "Emboss", ("swaps", "emboss", "shade", "")),
        ("Random threshold", "Auto threshold (kapur)", ("swaps", "auto threshold (kapur)", "random threshold", "")),
        ("Original", "Sharpen", ("departures", "sharpen", "original", "")),
    ],
)
def test_what_two_labels_do_not_share(query, target, expected):
    assert said(query, target)[0] == expected


def test_pictures_that_differ_are_other_things_and_no_versions():
    assert said("Polygon", "Point", alike=False) == [("others", "point", "polygon", "")]
    assert versions("Polygon", "Point", alike=False) == []
    assert versions("Polygon", "Point") == ["point"]
    assert said("Gamma 1.0", "Gamma 2.2", alike=False) == []
    assert said("Fog", "Fog in the valley", alike=False) == []


def test_titles_get_no_article():
    """Nothing tells a name of two words from a heading."""
    assert said("John Smith", "Mary Jones", alike=False) == [("titles", "Mary Jones", "John Smith", "")]
    assert said("Living Room", "Master Bedroom", alike=False) == [("titles", "Master Bedroom", "Living Room", "")]
    assert said("USS Enterprise (CV-6)", "USS Hornet (CV-8)")[0][1:3] == ("USS Hornet (CV-8)", "USS Enterprise (CV-6)")
    assert said("Main window Fred", "Scale Fred")[0][0] == "titles"


def test_shared_words_of_the_page_need_no_saying():
    assert said("Montage frame", "Montage label", title="Montage")[0][1:3] == ("label", "frame")
    assert said("Montage frame", "Montage label", title="Wand")[0][1:3] == ("montage label", "montage frame")


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("A dog", "A dog"),
        ("Threshold (soft)", "Threshold"),
        ("Step 1", "Step 2"),
        ("Wood 1", "Wood 2"),
        ("Corrected image in Panorama Editor", "Corrected image"),
        ("Emboss", "The program shows a list of files"),
        ("Emboss", "How to do it"),
        ("Joined images", "Ready to join"),
        ("Bridge at noon", "Bridge covered by ice"),
        ("Ford Model T", "Engine"),
        ("", ""),
    ],
)
def test_no_contrast(query, target):
    assert said(query, target) == []


def test_sections_of_programs_are_no_versions():
    assert said("Search: Standard", "Search: Advanced") == [("swaps", "advanced", "standard", "")]
    assert versions("Search: Standard", "Search: Advanced") == []
