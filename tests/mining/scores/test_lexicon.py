import pytest

from mining.scores.lexicon import ADJECTIVES, DETERMINERS, PREPOSITIONS, VERB_FORMS, noun_base, participle_base


@pytest.mark.parametrize(
    ("word", "base"),
    [
        ("dogs", "dog"), ("cities", "city"), ("boxes", "box"), ("churches", "church"), ("glasses", "glass"),
        ("women", "woman"), ("leaves", "leaf"), ("pies", "pie"), ("glass", "glass"), ("lens", "lens"), ("bus", "bus"),
        ("axis", "axis"), ("gas", "gas"), ("is", "is"), ("horse", "horse"), ("horses", "horse"), ("houses", "house"),
    ],
)  # fmt: skip
def test_plurals_lose_their_ending(word, base):
    assert noun_base(word) == base
    assert noun_base(base) == base


@pytest.mark.parametrize(
    ("word", "base"),
    [
        ("riding", "ride"), ("sitting", "sit"), ("running", "run"), ("held", "hold"), ("covered", "cover"),
        ("carried", "carry"), ("painted", "paint"), ("jogging", "jog"), ("falling", "fall"),
        ("sits", None), ("ring", None), ("red", None), ("bed", None), ("dog", None), ("string", None),
    ],
)  # fmt: skip
def test_participles_have_a_base(word, base):
    assert participle_base(word) == base


def test_classes_do_not_overlap():
    assert not DETERMINERS & PREPOSITIONS
    assert not (DETERMINERS | PREPOSITIONS) & ADJECTIVES
    assert not set(VERB_FORMS) & (DETERMINERS | PREPOSITIONS | ADJECTIVES)
