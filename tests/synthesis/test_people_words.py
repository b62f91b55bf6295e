"""Texts about people's skin, hair, gender, age and race, and texts that only use the same words."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.config import FilterConfig
from synthesis.filters import fault
from synthesis.people_words import KINDS, people_words, people_words_in

ABOUT = {
    "skin": """
        Show someone with a darker skin tone
        a person with dark skin
        the same pose by a light-skinned dancer
        her skin is paler
        give him freckles
        a woman with a fair complexion
        a tanned person on the beach
        the model's skin looks smoother
        an albino child
        a person with pale skin and a red scarf""",
    "hair": """
        with long curly hair
        the hairstyle is shorter
        a bald man instead
        someone with a beard
        a blonde in a red dress
        the dancer is a brunette
        a long-haired guitarist
        He has a moustache now
        add a ponytail
        the person is bald
        change the hair colour to red
        a bearded hiker""",
    "gender": """
        replace the man with a woman
        two women at the table
        a girl holding a balloon
        show a female doctor
        the male model wears a hat
        a boy riding the bicycle
        A lady in red
        a male in a blue coat
        the woman's hand is raised
        a businesswoman at a desk
        make the person look more masculine
        the opposite gender""",
    "age": """
        an elderly person on the bench
        show a younger woman
        a child instead of an adult
        an old man with a cane
        a teenager on a skateboard
        replace the dog with a baby
        the people are middle-aged
        a person of 80 years old
        the baby is asleep
        a young couple at the table
        two kids playing
        with an adult holding the ball""",
    "race": """
        a black man in a suit
        an Asian woman smiling
        the person is white
        show an African American family
        a white young man
        a Hispanic student
        people of color in the crowd
        a model of Asian descent
        someone of another ethnicity
        black people dancing
        an Indian bride
        a Caucasian male model""",
}
NOT_ABOUT = """
    a black dress instead
    on a white background
    change the dress to black
    a man-made lake
    Asian cuisine on a plate
    African elephants at the river
    Indian food with rice
    an old car in the street
    the older model of the phone
    a young tree
    baby blue paint
    a baby elephant beside its herd
    a hair dryer on a shelf
    camel hair brush
    the dog's hair is longer
    a bald eagle in flight
    a long-haired cat
    men's shoes in brown
    women's jacket, side view
    a girls' bicycle
    a girl dress in yellow
    black men's t-shirt
    white kids shoes
    a male connector on the cable
    the female plug
    a male lion
    the skin of the apple
    skin care products
    snake skin boots
    brown leather skin drum
    a white rabbit in the snow
    a black and white photo
    the wall is white
    the white model of the car
    a black record player
    blonde wood furniture
    a bearded dragon on a rock
    Spider-Man on the poster
    the Isle of Man
    Iron Man's helmet
    mother-of-pearl buttons
    children's book cover
    a kid's menu
    a 100-year-old church
    the building is 200 years old
    a brown bear and its cub
    white chocolate and black coffee
    a European city at night
    Chinese characters on a sign
    Japanese garden in autumn
    a race car on the track
    pale green walls
    the potato skin is lighter
    a boy band poster
    an adult lion
    a person in black
    people in white shirts
    someone wearing a brown coat
    add a crowd of people
    the same person, seated
    show it with a different hat
    a dancer in a pale dress
    the runner on the table is brown
    an older version of the logo
    a human figure made of wire
    an infant formula tin
    the kitten's hair is longer
    cross-hair on the screen
    maidenhair fern
    the white queen on the chessboard
    a Mexican flag
    the eyes are blue"""


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in ABOUT.items() for text in lines(texts)])
def test_texts_about_people(kind: str, text: str) -> None:
    found = people_words_in(text, [kind])
    assert found is not None
    assert found[0] == kind
    assert people_words_in(text.upper(), [kind]) == found


@pytest.mark.parametrize("text", lines(NOT_ABOUT))
def test_texts_that_use_the_words_of_other_things(text: str) -> None:
    assert people_words_in(text) is None


def test_there_are_fifty_sentences_each_way() -> None:
    assert min(sum(len(lines(one)) for one in ABOUT.values()), len(lines(NOT_ABOUT))) >= 50
    assert set(ABOUT) == set(KINDS) == set(people_words().rules)


def test_only_the_kinds_that_are_asked_for_count() -> None:
    text = "an old woman with grey hair"
    assert people_words_in(text, ["hair"]) == ("hair", "hair")
    assert people_words_in(text, ["gender"]) == ("gender", "woman")
    assert people_words_in(text, ["age"]) == ("age", "old")
    assert people_words_in(text, ["race", "skin"]) is None
    assert people_words_in(text, []) is None


def test_traits_do_not_reach_across_clauses() -> None:
    assert people_words_in("make it black. People stand around it", ["race"]) is None
    assert people_words_in("make it black; people stand around it", ["race"]) is None


def test_the_filter_is_off_unless_kinds_are_named() -> None:
    pair = {"query_text": "a dog", "target_text": "a cat"}
    text = "with a young woman beside it"
    assert fault(text, pair, FilterConfig()) is None
    assert fault(text, pair, FilterConfig(people_words=KINDS)) == ("people_words", f"gender: woman in: {text}")
    assert fault(text, pair, FilterConfig(people_words=("age",))) == ("people_words", f"age: young in: {text}")
    assert fault(text, pair, FilterConfig(people_words=("race",))) is None
    with pytest.raises(ValueError, match="people_words"):
        FilterConfig(people_words=("shoes",))


@given(st.text(max_size=200))
def test_any_text_has_an_answer(text: str) -> None:
    found = people_words_in(text)
    assert found is None or found[0] in KINDS


def test_texts_without_end_are_read_at_once() -> None:
    began = time.perf_counter()
    people_words_in("black " * 20_000)
    people_words_in("man-made " * 20_000)
    assert time.perf_counter() - began < 5


def test_the_lists_hold_words_that_a_text_can_hold() -> None:
    lists = people_words()
    assert lists.version >= 1
    every = [word for words in lists.sets.values() for word in words]
    every += [word for rules in lists.rules.values() for own in rules.values() for _, phrase in own for word in phrase]
    assert all(word.isalpha() and word == word.lower() for word in every)
