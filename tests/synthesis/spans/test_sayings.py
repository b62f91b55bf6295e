from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from synthesis.spans.sayings import Described, instructions, patterns


def families(**known):
    return {
        saying.family
        for saying in instructions(Described(**{"title": "", "query": "", "target": "", **known})).values()
    }


def names(query, target, **known):
    pair = {"title": "", "query": "", "target": "", "alike": True, **known}
    return instructions(Described(**pair, query_name=tuple(query.split()), target_name=tuple(target.split())))


def test_every_family_has_patterns_with_its_fields():
    for family, texts in patterns().items():
        fields = {tuple(sorted(field for field in ("new", "old", "tail") if f"{{{field}}}" in text)) for text in texts}
        assert len(texts) > 1, family
        if family not in {"swaps", "departures", "removals"}:
            assert all("new" in one for one in fields), family


def test_names_of_files_speak_where_texts_do_not():
    found = names("distort arc tile", "distort arc mirror")
    assert found
    assert {(saying.new, saying.old) for saying in found.values()} <= {("mirror", "tile"), ("mirror", "")}
    assert {one.new for one in names("bug shadow", "original bug").values()} == {"original bug"}
    assert not names("distort arc tile", "distort arc mirror", alike=False)
    assert not names("guide prefs", "guide done", screens=True)
    assert not names("distort arc tile", "montage frame")
    assert not names("wood 1", "wood 2")


def test_windows_are_no_versions_of_one_another():
    seen = set()
    for number in "abcdefgh":
        seen |= families(query=f"Emboss {number}{number}", target="Unpack", alike=True, screens=True)
    assert seen == {"swaps"}
    assert families(query="A list of things", target="Unpack", alike=True, screens=True) == {"switches"}
    assert families(query="A list of things", target="Unpack", alike=True) == {"versions"}


def test_texts_that_are_names_of_files_need_pictures_that_are_alike():
    known = {"query": "panoramic", "target": "spherical", "target_file": True}
    assert not families(**known)
    assert families(**known, alike=True)
    assert not families(query="torus", target="wtorus", target_file=True, alike=True)


def test_no_phrase_leads():
    """Over many pairs of one shape the instructions that are offered differ."""
    offered = Counter()
    for number in range(200):
        pair = Described("", f"Cat number {number}", "Old lighthouse on a rock")
        offered.update(one.replace("an old", "old") for one in instructions(pair))
    assert len(offered) == 10
    assert max(offered.values()) < 0.6 * 200


def test_articles_and_numbers_agree():
    singular = instructions(Described("", "A cat sleeping", "Old lighthouse on a rock"))
    assert any(" an old lighthouse" in one for one in singular)
    plural = instructions(Described("", "A cat sleeping", "Old lighthouses on a rock"))
    assert plural
    assert not any(" an " in one for one in plural)


_WORDS = (
    "the a an of in with for to and not no original Bridge bridge fog Paris covered by taken - : ( ) , . 3 4x4 2.2 "
    "IMG_1 edge out NumPy example blur selective motion gamma this is show add two images using front view engine"
).split()
_LINES = st.lists(st.sampled_from(_WORDS), max_size=14).map(" ".join) | st.text(max_size=60)
_NAMES = st.lists(st.sampled_from("bridge fog original tile 3 crop example".split()), max_size=4).map(tuple)


@given(_LINES, _LINES, _LINES, _NAMES, _NAMES, st.booleans(), st.booleans())
def test_every_span_stands_in_its_text(title, query, target, query_name, target_name, alike, file):
    found = instructions(Described(title, query, target, query_name, target_name, file, alike))
    for text, saying in found.items():
        for part in (saying.new, saying.old, saying.tail):
            assert part in text or not part
        _stands(saying.new, target or " ".join(target_name))
        _stands(saying.old, query if query and target else " ".join(query_name))
        _stands(saying.tail, target or " ".join(target_name))
        assert "{" not in text or "{" in target + query


def _stands(span, source):
    """Word by word, in order: breaks between two pieces are left out, and an article may stand before a thing."""
    rest = source.casefold()
    for index, word in enumerate(span.casefold().replace("(", "").replace(")", "").split()):
        at = rest.find(word.rstrip(","))
        if at < 0 and index == 0 and word in {"a", "an"}:
            continue
        assert at >= 0, (span, source)
        rest = rest[at:]
