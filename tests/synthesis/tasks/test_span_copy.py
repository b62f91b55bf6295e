import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.config import FilterConfig, TaskConfig
from synthesis.filters import fault
from synthesis.tasks.interface import Ask, NothingToAsk, UnparsableError
from synthesis.tasks.span_copy import SpanCopy, grammar

TASK = SpanCopy(TaskConfig())


def row(query, target, alike=False, **more):
    return {
        "page_title": "A page",
        "query_text": query,
        "target_text": target,
        "visual_similarity": 0.9 if alike else 0.2,
        "query_image_url": "http://a.org/1.png",
        "target_image_url": "http://a.org/2.png",
        "query_label": None,
        "target_label": None,
        "language": "en",
    } | more


def options(pair):
    """What the grammar of a pair allows."""
    asked = TASK.format_input(pair)
    assert isinstance(asked, Ask)
    return [json.loads(one) for one in asked.grammar.removeprefix("root ::= ").strip().split(" | ")]


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (row("a dog", None), "text_missing"),
        (row("a dog", ""), "text_missing"),
        (row("a dog", "the dog"), "nothing_new"),
        (row("a dog", "example 3 of a dog"), "nothing_new"),
        (row("a dog", "my old cat"), "no_fair_span"),
        (row("a dog", "a cat on a tree", target_text_shared=True), "shared_text"),
        (row("a dog", "a cat on a tree", language="de"), "language"),
        (row("a dog", "Eine Katze auf dem Baum und der Hund"), "language"),
        (row("a dog", "кошка"), "language"),
    ],
)
def test_silence_has_reasons(pair, reason):
    assert TASK.format_input(pair) == NothingToAsk(reason)


def test_a_page_whose_language_nobody_knows_may_be_english():
    assert isinstance(TASK.format_input(row("a dog", "a cat on a tree", language=None)), Ask)


@pytest.mark.parametrize(
    ("pair", "beginnings", "endings"),
    [
        (row("Bridge at noon", "Bridge covered by ice", True), ("Show", "See", "Find"), (" covered by ice",)),
        (row("Bridge at noon", "Bridge in winter", True), ("Show", "See"), (" in winter",)),
        (
            row("Wave", "Solarize", True),
            ("Switch from wave", "Change wave", "Replace wave", "Show", "See", "Find"),
            ("solarize", " version"),
        ),
        (row("Wave", "Original", True), ("Show", "Go back", "Return to"), ("original", " again", " of wave")),
        (row("Ford Model T", "Engine", title=""), ("Show its", "See its", "Find its"), (" engine",)),
        (
            row("Front view of the hall", "Rear view of the hall", True),
            ("Show the", "Switch from the", "Find the"),
            (" view", " one"),
        ),
    ],
)
def test_phrases_fit_their_span(pair, beginnings, endings):
    for one in options(pair):
        assert one.startswith(beginnings)
        assert one.endswith(endings)


def test_names_of_files_where_texts_are_missing():
    pair = row(
        None, None, True, query_image_url="http://a.org/arc-tile.png", target_image_url="http://a.org/arc-mirror.png"
    )
    assert all("mirror" in one for one in options(pair))
    assert "arc mirror" in json.dumps(TASK.format_input(pair).messages[-1])


def test_the_answer_must_be_in_the_grammar():
    pair = row("Bridge at noon", "Bridge covered by ice", True)
    allowed = options(pair)
    (found,) = TASK.format_output([f" {allowed[0]}\n"], pair).texts
    assert (found.text, found.direction, found.category) == (allowed[0], "forward", "attribute")
    for other in ("", "Show it covered by snow", allowed[0] + " please", allowed[0].lower()):
        with pytest.raises(UnparsableError):
            TASK.format_output([other], pair)


def test_its_texts_pass_the_filters():
    pairs = [
        row("River - Gamma correction", "River", True),
        row("River", "River - Gamma correction", True),
        row("Shade", "Emboss", True),
        row("Wave", "Original", True),
        row("Dough", "Finished loaf"),
        row("Circular projection", "Cubic projection"),
    ]
    for pair in pairs:
        for text in options(pair):
            assert fault(text, pair, FilterConfig()) is None


def test_a_grammar_escapes_what_it_must():
    assert grammar(['say "hi"', "back\\slash", "é"]) == 'root ::= "say \\"hi\\"" | "back\\\\slash" | "é"\n'


_TEXTS = (
    st.none()
    | st.text(max_size=80)
    | st.sampled_from(["Emboss", "River - Gamma (2.2)", "A dog on a bench", "Edge out"])
)


@given(_TEXTS, _TEXTS, st.booleans(), _TEXTS, st.text(max_size=30), st.text(max_size=30))
def test_any_row_gives_a_question_or_a_reason(query, target, alike, answer, query_url, target_url):
    pair = row(query, target, alike, query_image_url=query_url, target_image_url=target_url)
    asked = TASK.format_input(pair)
    assert isinstance(asked, (Ask, NothingToAsk))
    if isinstance(asked, Ask):
        for text in options(pair):
            assert [one.text for one in TASK.format_output([text], pair).texts] == [text]
    with pytest.raises(UnparsableError):
        TASK.format_output([f"{answer} and nothing else"], pair)
