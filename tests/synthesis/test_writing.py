from schemas.outcomes import CollectedOutcomes
from schemas.tables import PARSE, TRIPLETS
from synthesis.chain import Answer, ChainRows, Unanswered, Written, make_chain
from synthesis.config import FilterConfig, WriteConfig
from synthesis.tasks.interface import Candidate
from synthesis.writing import parse_left, write_image_texts, write_triplets

MODEL = Answer("…", "modification_mtcir@1", "some model (1)")


def pair(query, target, page="p1", **more):
    """A pair named by its images."""
    texts = {"query_text": f"the {query}", "target_text": f"the {target}"}
    ends = {"query_image_id": query, "target_image_id": target}
    return (
        {"pair_id": f"{page}/{query}>{target}", "page_id": page, "page_url": f"http://x/{page}"} | ends | texts | more
    )


def written(*texts, method="modification_mtcir", source=MODEL):
    return [Written(one if isinstance(one, Candidate) else Candidate(one), method, source) for one in texts]


def write(pairs, texts, reasons=None, filters=None):
    """Triplets of pairs with the texts that were written for each."""
    rows, outcomes = ChainRows(pairs), CollectedOutcomes()
    rows.texts = list(texts)
    for number, found in (reasons or {}).items():
        rows.reasons[number] = found
    outcomes.entered("text", sum(map(len, texts)))
    write_triplets(rows, filters or FilterConfig(), outcomes)
    assert not outcomes.counts.unbalanced()
    return outcomes, outcomes.counts.units


def test_a_pair_with_texts_is_a_triplet():
    fine = Candidate("with a red hat", "added_object", length="fine", keep=("the cat",), add=("a red hat",))
    outcomes, units = write([pair("cat", "dog", query_caption="a fact")], [written(fine, "show what barks")])
    (row,) = outcomes.rows("triplets")
    assert row["instruction"] == "with a red hat"
    assert row["instructions"][0] == {
        "text": "with a red hat",
        "category": "added_object",
        "direction": "forward",
        "length": "fine",
        "method": "modification_mtcir",
        "model": "some model (1)",
        "prompt": "modification_mtcir@1",
        "score": None,
        "verdict": "unchecked",
    }
    parse = {name: row[name] for name in PARSE}
    assert parse == {
        "parsed_text": "with a red hat",
        "keep": ["the cat"],
        "add": ["a red hat"],
        "remove": [],
        "change": [],
    }
    assert row["instructions"][1]["text"] == "show what barks"
    assert (units["text"].kept, units["pair"].kept, outcomes.counts.made["triplet"]) == (2, 1, 1)
    # What steps have said on the way is no column.
    assert row.keys() <= set(TRIPLETS.schema.names)


def test_the_columns_of_the_parse_are_those_of_the_most_precise_text_that_is_left():
    short = Candidate("with a hat", length="short", add=("a hat",))
    fine = Candidate(
        "keep it on the grass and give it a red hat", length="fine", keep=("the grass",), add=("a red hat",)
    )
    outcomes, _ = write([pair("cat", "dog"), pair("dog", "cat")], [written(short, fine), written("with a scarf")])
    parsed, plain = outcomes.rows("triplets")
    assert (parsed["parsed_text"], parsed["keep"], parsed["add"]) == (fine.text, ["the grass"], ["a red hat"])
    assert [plain[name] for name in PARSE] == [None] * 5
    assert parse_left(parsed, [{"text": fine.text}]) == {name: parsed[name] for name in PARSE}
    assert parse_left(parsed, [{"text": short.text}]) == dict.fromkeys(PARSE)


def test_one_pair_may_carry_texts_of_several_methods():
    texts = [*written("with a red hat"), *written("show it from behind", method="templates", source=None)]
    outcomes, _ = write([pair("cat", "dog")], [texts])
    (row,) = outcomes.rows("triplets")
    assert [(one["method"], one["model"]) for one in row["instructions"]] == [
        ("modification_mtcir", "some model (1)"),
        ("templates", None),
    ]


def test_lengths_are_named_by_words():
    texts = ["a hat " + "x " * count for count in (6, 7, 18, 19)]
    outcomes, _ = write([pair("cat", "dog")], [written(*texts)])
    (row,) = outcomes.rows("triplets")
    assert [one["length"] for one in row["instructions"]] == ["short", "medium", "medium", "fine"]


def test_a_fine_text_may_be_longer():
    long = "a hat " + "x " * 40
    texts = [Candidate(long, length="fine"), Candidate(long + "y", length="medium"), Candidate(long * 9, length="fine")]
    _, units = write([pair("cat", "dog")], [written(*texts)])
    assert (units["text"].kept, units["text"].rejected) == (1, {"too_long": 2})


def test_reasons_of_texts():
    texts = [
        "hat",
        "with a hat",
        "WITH A HAT!",
        "the first image with a hat",
        "the cat",
        "The dog",
        "show " + "x " * 30,
        "I'm sorry, I cannot help with that",
    ]
    outcomes, units = write([pair("cat", "dog")], [written(*texts)])
    assert units["text"].kept == 1
    assert units["text"].rejected == {
        "too_short": 1,
        "duplicate": 1,
        "leak": 1,
        "no_new_content_word": 1,
        "verbatim_target_text": 1,
        "too_long": 1,
        "refusal": 1,
    }
    assert {row["unit"] for row in outcomes.rows("rejected")} == {"text"}
    assert all(row["url"] == "http://x/p1" and row["detail"] for row in outcomes.rows("rejected"))


def test_every_pair_ends_somewhere():
    pairs = [pair("a", name) for name in "bcdefgh"]
    texts = [written("with a hat"), [], [], [], written("hat"), [], []]
    reasons = {
        1: {"one": Unanswered("text_missing")},
        2: {"one": Unanswered("no_answer")},
        3: {"one": Unanswered("text_missing"), "two": Unanswered("http_500", "failed")},
        5: {"one": Unanswered("unparsable_answer")},
        6: {"one": Unanswered("max_requests", "deferred")},
    }
    outcomes, units = write(pairs, texts, reasons)
    entry = units["pair"]
    assert (entry.entered, entry.kept, entry.deferred) == (7, 1, 1)
    assert entry.rejected == {"text_missing": 1, "no_answer": 1, "no_good_text": 2}
    assert entry.failed == {"http_500": 1}
    assert [row["reason"] for row in outcomes.rows("deferred")] == ["max_requests"]


def test_a_text_of_one_task_outweighs_what_another_one_lacks():
    _, units = write([pair("a", "b")], [written("with a hat")], {0: {"two": Unanswered("http_500", "failed")}})
    assert units["pair"].kept == 1


def test_a_backward_text_goes_to_the_reversed_pair():
    back = Candidate("without the hat", "removed_object", "backward")
    outcomes, _ = write([pair("cat", "dog"), pair("dog", "cat")], [written("with a hat", back), []])
    there, home = outcomes.rows("triplets")
    assert (there["instruction"], home["instruction"]) == ("with a hat", "without the hat")
    assert home["pair_id"] == "p1/dog>cat"
    assert home["instructions"][0]["direction"] == "backward"
    outcomes, units = write([pair("cat", "dog"), pair("dog", "cat", page="p2")], [written(back), []])
    assert units["text"].rejected == {"no_reversed_pair": 1}
    assert not outcomes.rows("triplets")


def test_backward_texts_meet_the_filters_of_the_pair_that_they_are_of():
    back = Candidate("the dog", direction="backward")
    _, units = write([pair("cat", "dog"), pair("dog", "cat")], [written(back), []])
    # It says what the reversed pair's query shows already.
    assert units["text"].rejected == {"no_new_content_word": 1}


def test_better_scores_come_first_and_equal_ones_as_they_came():
    texts = [
        Candidate("with a hat", score=0.1),
        Candidate("with a scarf", score=0.9),
        Candidate("on a chair", score=0.1),
    ]
    outcomes, _ = write([pair("cat", "dog")], [written(*texts)])
    (row,) = outcomes.rows("triplets")
    assert [one["text"] for one in row["instructions"]] == ["with a scarf", "with a hat", "on a chair"]


def test_the_triplets_id_follows_pair_and_text():
    ids = {
        write([one], [written(text)])[0].rows("triplets")[0]["triplet_id"]
        for one in (pair("cat", "dog"), pair("cat", "fox"))
        for text in ("with a hat", "with a scarf")
    }
    assert len(ids) == 4


def test_texts_of_images_alone_are_tables_of_their_own():
    chain = make_chain(WriteConfig(chain=("caption", "text_triplets"), model="m"))
    rows, outcomes = ChainRows([pair("cat", "dog")]), CollectedOutcomes()
    key = ("p1", "cat")
    edited = {"caption": "A cat.", "edit": "add a hat", "edited": "A cat with a hat."}
    rows.said[key, "caption"] = ({"caption": "A cat."}, MODEL)
    rows.said[key, "text_triplets"] = ({"text_triplet": edited}, MODEL)
    write_image_texts(rows, chain, outcomes)
    (caption,) = outcomes.rows("written_captions")
    assert (caption["image_id"], caption["text"], caption["method"]) == ("cat", "A cat.", "caption")
    (triplet,) = outcomes.rows("text_triplets")
    assert {name: triplet[name] for name in edited} == edited
    assert (len(triplet["text_triplet_id"]), triplet["method"]) == (32, "text_triplets")


def test_of_two_captions_of_an_image_each_stands_under_its_own_task():
    chain = make_chain(WriteConfig(chain=("caption", "caption_detailed"), model="m"))
    rows, outcomes = ChainRows([pair("cat", "dog")]), CollectedOutcomes()
    rows.said[("p1", "cat"), "caption"] = ({"caption": "A cat."}, MODEL)
    rows.said[("p1", "cat"), "caption_detailed"] = ({"caption": "A grey cat sleeps on a red sofa."}, MODEL)
    rows.said[("p1", "dog"), "caption"] = ({"caption": "A dog."}, MODEL)
    # A draft whose objects could not be read is no caption.
    rows.said[("p1", "dog"), "caption_detailed"] = ({"draft": "A dog runs."}, MODEL)
    write_image_texts(rows, chain, outcomes)
    assert [(row["image_id"], row["method"], row["text"]) for row in outcomes.rows("written_captions")] == [
        ("cat", "caption", "A cat."),
        ("cat", "caption_detailed", "A grey cat sleeps on a red sofa."),
        ("dog", "caption", "A dog."),
    ]
