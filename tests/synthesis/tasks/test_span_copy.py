import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.config import WriteConfig
from synthesis.requests import NothingToAsk, Request, Variables
from synthesis.tasks.interface import UnparsableError
from synthesis.tasks.span_copy import SpanCopy, article, grammar

TASK = SpanCopy(WriteConfig())


def options(query, target, alike=False):
    """What the grammar of a pair allows."""
    request = TASK.format_input(Variables("A page", query, target, alike=alike))
    assert isinstance(request, Request)
    rule = request.parameters["grammar"].removeprefix("root ::= ").strip()
    return [json.loads(one) for one in rule.split(" | ")]


def test_silence_has_reasons():
    assert TASK.format_input(Variables("t", "", "a dog")) == NothingToAsk("text_missing")
    assert TASK.format_input(Variables("t", "a dog", "")) == NothingToAsk("text_missing")
    assert TASK.format_input(Variables("t", "a dog", "the dog")) == NothingToAsk("nothing_new")


@pytest.mark.parametrize(
    ("query", "target", "alike", "beginnings", "endings"),
    [
        ("Bridge at noon", "Bridge covered by ice", True, ("Show", "See", "Find"), (" covered by ice",)),
        (
            "Bridge at noon",
            "Bridge in winter",
            True,
            ("Show the same place", "See the same place", "Show it"),
            (" in winter",),
        ),
        ("Wave", "Sepia tone", True, ("Show", "See", "Find", "Switch to", "Change it to"), (" sepia tone", " version")),
        ("Wave", "Original", True, ("Show", "See", "Find", "Switch to", "Change it to"), (" original", " version")),
        ("Wave", "Solarize", False, ("Show", "See", "Find", "Switch to", "Change it to"), (" solarize", " version")),
        ("Ford Model T", "Engine", False, ("Show", "See", "Find", "Look for"), (" engine", " of it", " instead")),
        ("Ford Model T", "Map", False, ("Show", "See", "Find", "Look for"), (" map", " for it", " instead")),
    ],
)
def test_phrases_fit_their_span(query, target, alike, beginnings, endings):
    for one in options(query, target, alike):
        assert one.startswith(beginnings)
        assert one.endswith(endings)


def test_articles_and_numbers_agree():
    singular = options("A cat", "Old lighthouse")
    assert any(" an old lighthouse" in one for one in singular)
    assert not any(" a old" in one for one in singular)
    plural = options("A cat", "Old lighthouses")
    assert not any(" an " in one for one in plural)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dog", "a"),
        ("old dog", "an"),
        ("hour glass", "an"),
        ("university", "a"),
        ("European map", "a"),
        ("umbrella", "an"),
        ("MRI scan", "an"),
        ("UFO", "a"),
        ("unusual view", "an"),
        ("one-way street", "a"),
    ],
)
def test_article(text, expected):
    assert article(text) == expected


def test_no_phrase_leads():
    """Over many pairs of one shape the beginnings that are offered differ."""
    offered = Counter()
    for number in range(200):
        offered.update(one.replace("lighthouse", "…") for one in options(f"Cat number {number}", "Lighthouse"))
    assert len(offered) == 10
    assert max(offered.values()) < 0.6 * 200


def test_the_answer_must_be_in_the_grammar():
    variables = Variables("A page", "Bridge at noon", "Bridge covered by ice", alike=True)
    allowed = options(variables.query, variables.target, True)
    (found,) = TASK.format_output(f" {allowed[0]}\n", variables)
    assert (found.text, found.method, found.direction, found.category) == (allowed[0], "span_copy", "forward", None)
    for other in ("", "Show it covered by snow", allowed[0] + " please", allowed[0].lower()):
        with pytest.raises(UnparsableError):
            TASK.format_output(other, variables)


def test_a_grammar_escapes_what_it_must():
    assert grammar(['say "hi"', "back\\slash", "é"]) == 'root ::= "say \\"hi\\"" | "back\\\\slash" | "é"\n'


@given(st.text(max_size=80), st.text(max_size=80), st.booleans(), st.text(max_size=80))
def test_any_texts_give_a_request_or_a_reason(query, target, alike, answer):
    pair = {"page_title": "", "query_text": query, "target_text": target, "visual_similarity": float(alike)}
    variables = Variables.of_pair(pair)
    request = TASK.format_input(variables)
    assert isinstance(request, (Request, NothingToAsk))
    try:
        found = TASK.format_output(answer, variables)
    except UnparsableError:
        return
    assert [one.text for one in found] == [" ".join(answer.split())]
