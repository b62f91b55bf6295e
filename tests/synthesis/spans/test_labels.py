from synthesis.spans.labels import bracketed, label, manner, one_label, opened, versions, without_measures
from synthesis.spans.pieces import pieces


def test_labels():
    for text in ("selective blur", "edge out", "point", "fit using bounds"):
        assert label(text.split())
    for text in ("the dog", "of paris", "this is it", "a b c d e f", "building a model", "shot20190312", "fit using"):
        assert not label(text.split())


def test_labels_with_brackets():
    assert bracketed(pieces("Auto threshold (kapur)")) == "auto threshold (kapur)"
    assert one_label(pieces("Auto threshold (kapur)"))
    assert not one_label(pieces("Auto threshold - kapur"))


def test_what_says_nothing_is_left_out():
    assert opened(("example", "of", "a", "loaf")) == ("loaf",)
    assert opened(("falling", "lines", "example")) == ("falling", "lines")
    assert opened(("example",)) == ("example",)
    assert without_measures(("circles", "6x6"), ("halftone", "4x4")) == (("circles",), ("halftone",))
    assert without_measures(("dither", "6x6"), ("dither", "4x4")) == (("dither", "6x6"), ("dither", "4x4"))


def test_versions_are_of_one_thing_that_looks_alike():
    assert [one.new for one in versions(["selective", "blur"], True)] == ["selective blur"]
    for tokens, alike in (
        (["blur"], False),
        (["circles"], True),
        (["eating"], True),
        (["fit", "using", "bounds"], True),
    ):
        assert versions(tokens, alike) == []
    assert manner("covered by fog".split())
    assert not manner("covered bridge".split())
