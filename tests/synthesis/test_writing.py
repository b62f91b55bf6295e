import json

from schemas.outcomes import CollectedOutcomes
from synthesis.config import WriteConfig
from synthesis.tasks import Candidate, make_task
from synthesis.tasks.interface import UnparsableError
from synthesis.writing import Answer, Unanswered, write_triplets

CONFIG = WriteConfig(task="magiclens")


def pair(query, target, page="p1", **more):
    """A pair named by its images."""
    texts = {"query_text": f"the {query}", "target_text": f"the {target}"}
    ends = {"query_image_id": query, "target_image_id": target}
    return (
        {"pair_id": f"{page}/{query}>{target}", "page_id": page, "page_url": f"http://x/{page}"} | ends | texts | more
    )


def said(*texts, **more):
    return Answer(json.dumps({"instructions": list(texts), **more}), "magiclens@2", "some model (1)")


def write(pairs, task=None, config=CONFIG):
    outcomes = CollectedOutcomes()
    write_triplets(pairs, task or make_task(config), config, outcomes)
    assert not outcomes.counts.unbalanced()
    return outcomes, outcomes.counts.units


class Backwards:
    """A task whose answers are `direction: text` lines."""

    name = "backwards"

    def format_input(self, variables):
        raise AssertionError

    def format_output(self, text, variables):
        lines = [line.split(": ", 1) for line in text.splitlines()]
        if any(len(line) < 2 for line in lines):
            raise UnparsableError(text)
        return [Candidate(one, self.name, None, direction, float(len(one))) for direction, one in lines]


def test_a_pair_with_texts_is_a_triplet():
    item = {"text": "with a red hat", "category": "added_object"}
    outcomes, units = write([(pair("cat", "dog"), said(item, "show what barks"))])
    (row,) = outcomes.rows("triplets")
    assert row["instruction"] == "with a red hat"
    assert row["instructions"] == [
        {
            "text": "with a red hat",
            "category": "added_object",
            "direction": "forward",
            "length": "short",
            "method": "magiclens",
            "model": "some model (1)",
            "prompt": "magiclens@2",
            "score": None,
            "verdict": "unchecked",
        },
        row["instructions"][1],
    ]
    assert row["instructions"][1]["text"] == "show what barks"
    assert (units["text"].kept, units["pair"].kept, outcomes.counts.made["triplet"]) == (2, 1, 1)


def test_lengths_are_named_by_words():
    texts = ["a hat " + "x " * count for count in (6, 7, 18, 19)]
    outcomes, _ = write([(pair("cat", "dog"), said(*texts))])
    (row,) = outcomes.rows("triplets")
    assert [one["length"] for one in row["instructions"]] == ["short", "medium", "medium", "fine"]


def test_reasons_of_texts():
    texts = [
        "hat",
        "with a hat",
        "WITH A HAT!",
        "the first image with a hat",
        "the cat",
        "The dog",
        "show " + "x " * 30,
    ]
    outcomes, units = write([(pair("cat", "dog"), said(*texts))])
    assert units["text"].kept == 1
    assert units["text"].rejected == {
        "too_short": 1,
        "duplicate": 1,
        "leak": 1,
        "no_new_content_word": 1,
        "verbatim_target_text": 1,
        "too_long": 1,
    }
    assert {row["unit"] for row in outcomes.rows("rejected")} == {"text"}
    assert all(row["url"] == "http://x/p1" and row["detail"] for row in outcomes.rows("rejected"))


def test_every_pair_ends_somewhere():
    pairs = [
        (pair("a", "b"), said("with a hat")),
        (pair("a", "c"), Unanswered("text_missing")),
        (pair("a", "d"), Unanswered("no_answer")),
        (pair("a", "e"), Unanswered("http_500", failed=True)),
        (pair("a", "f"), said("hat")),
        (pair("a", "g"), Answer("no JSON", "p", "m")),
        (pair("a", "h"), said()),
    ]
    outcomes, units = write(pairs)
    assert units["pair"].kept == 1
    assert units["pair"].rejected == {"text_missing": 1, "no_answer": 1, "no_good_text": 3}
    assert units["pair"].failed == {"http_500": 1}
    assert units["text"].rejected == {"too_short": 1, "unparsable_answer": 1}
    assert len(outcomes.rows("triplets")) == 1


def test_a_backward_text_stands_in_the_row_of_the_reversed_pair():
    pairs = [
        (pair("cat", "dog"), Answer("forward: show the barking one\nbackward: show the purring one", "p@1", "m")),
        (pair("dog", "cat"), Unanswered("no_answer")),
        (pair("cat", "owl"), Answer("backward: show one with fur", "p@1", "m")),
        (pair("owl", "cat", page="p2"), Unanswered("no_answer")),
    ]
    outcomes, units = write(pairs, Backwards())
    found = {row["pair_id"]: row["instructions"] for row in outcomes.rows("triplets")}
    assert {name: [(one["text"], one["direction"]) for one in texts] for name, texts in found.items()} == {
        "p1/cat>dog": [("show the barking one", "forward")],
        "p1/dog>cat": [("show the purring one", "backward")],
    }
    assert units["text"].rejected == {"no_reversed_pair": 1}
    assert units["pair"].rejected == {"no_good_text": 1, "no_answer": 1}


def test_a_backward_text_is_held_against_the_texts_of_its_own_row():
    pairs = [
        (pair("cat", "dog"), Answer("backward: show the cat", "p", "m")),
        (pair("dog", "cat"), Answer("forward: show the cat", "p", "m")),
    ]
    outcomes, units = write(pairs, Backwards())
    (row,) = outcomes.rows("triplets")
    assert row["pair_id"] == "p1/dog>cat"
    assert units["text"].rejected == {"duplicate": 1}


def test_the_best_score_becomes_the_instruction():
    answer = Answer("forward: with a hat\nforward: with a large hat\nforward: with one hat", "p", "m")
    outcomes, _ = write([(pair("cat", "dog"), answer)], Backwards())
    (row,) = outcomes.rows("triplets")
    assert row["instruction"] == "with a large hat"
    assert [one["text"] for one in row["instructions"]] == ["with a large hat", "with one hat", "with a hat"]


def test_filters_are_settings():
    config = WriteConfig(task="magiclens", filters={"min_words": 1, "verbatim": "keep", "new_word": False})
    _, units = write([(pair("cat", "dog"), said("hat", "the dog", "the cat"))], config=config)
    assert units["text"].kept == 3
