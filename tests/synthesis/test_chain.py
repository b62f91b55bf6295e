import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from schemas.outcomes import CollectedOutcomes
from synthesis.chain import Answer, Answers, ChainRows, Unanswered, make_chain
from synthesis.config import WriteConfig
from synthesis.requests import again
from synthesis.writing import write_triplets


def pair(query, target, page="p1", **more):
    """A pair named by its images."""
    return {
        "pair_id": f"{page}/{query}>{target}",
        "page_id": page,
        "page_url": f"http://x/{page}",
        "page_title": "Animals",
        "query_image_id": query,
        "target_image_id": target,
        "query_text": f"the {query}",
        "target_text": f"the {target}",
        "visual_similarity": 0.5,
    } | more


def said(text):
    return Answer(text, "prompt@1", "m (r)")


def both(forward, backward=()):
    return json.dumps(
        {
            "forward": [{"category": "attribute", "text": text} for text in forward],
            "backward": [{"category": "number", "text": text} for text in backward],
        }
    )


def chain_of(*tasks, **more):
    return make_chain(WriteConfig(chain=tasks, model="m", **more))


def go(rows, chain, reply):
    """Take rows along a chain whose questions `reply(link, row)` answers (a text, or Unanswered)."""
    outcomes = CollectedOutcomes()
    asked = []
    for link in chain.links:
        found = {}
        for question in rows.questions(link):
            asked.append((link.name, question.key))
            answer = reply(link.name, question.row)
            for request in question.requests:
                found[request.request_id] = said(answer) if isinstance(answer, str) else answer
        rows.take(link, Answers(found), outcomes)
    return outcomes, asked


def test_what_is_said_of_an_image_joins_all_its_pairs_and_is_asked_once():
    rows = ChainRows([pair("cat", "dog"), pair("dog", "cat"), pair("cat", "fox")])

    def reply(link, row):
        if link == "caption":
            return f"A photo of a {row['image_id']} on grass."
        assert row["query_caption"] == f"A photo of a {row['query_image_id']} on grass."
        return both([f"show the {row['target_image_id']} now"])

    chain = chain_of("caption", "modification_mtcir")
    _, asked = go(rows, chain, reply)
    assert [key for name, key in asked if name == "caption"] == [("p1", "cat"), ("p1", "dog"), ("p1", "fox")]
    assert [name for name, _ in asked].count("modification_mtcir") == 3
    assert [[one.candidate.text for one in texts] for texts in rows.texts] == [
        ["show the dog now"],
        ["show the cat now"],
        ["show the fox now"],
    ]
    assert rows.texts[0][0].method == "modification_mtcir"
    wrote = said("A photo of a cat on grass.")
    assert rows.said[("p1", "cat"), "caption"] == ({"caption": "A photo of a cat on grass."}, wrote)


def test_the_same_image_on_another_page_is_another_one():
    rows = ChainRows([pair("cat", "dog"), pair("cat", "dog", page="p2", query_text="Felix")])
    (caption,) = chain_of("caption").links
    assert [question.row["text"] for question in rows.questions(caption)] == ["the cat", "the dog", "Felix", "the dog"]


def test_a_pair_waits_for_what_may_still_be_said_of_its_images():
    rows = ChainRows([pair("cat", "dog"), pair("fox", "dog"), pair("fox", "owl")])

    def reply(link, row):
        if link == "caption":
            lost = {"cat": Unanswered("http_500", "failed"), "owl": Unanswered("no_answer")}
            return lost.get(row["image_id"], f"A {row['image_id']}.")
        return both(["show it at night"])

    _, asked = go(rows, chain_of("caption", "modification_mtcir"), reply)
    assert [key for name, key in asked if name == "modification_mtcir"] == [("p1/fox>dog",), ("p1/fox>owl",)]
    assert rows.reasons[0] == {"modification_mtcir": Unanswered("http_500", "failed")}
    # An image of which nothing can be said is one without a caption.
    assert rows.texts[2][0].candidate.text == "show it at night"


def test_a_task_without_a_model_waits_for_captions_as_well():
    rows, chain = ChainRows([pair("cat", "dog"), pair("fox", "owl")]), chain_of("caption", "templates")
    lost = {"cat": Unanswered("max_requests", "deferred"), "owl": Unanswered("no_answer")}
    outcomes, _ = go(rows, chain, lambda link, row: lost.get(row["image_id"], f"A {row['image_id']} at night."))
    for task, _ in chain.tasks:
        rows.write(task, outcomes)
    write_triplets(rows, WriteConfig().filters, outcomes)
    assert (rows.texts[0], bool(rows.texts[1])) == ([], True)
    entry = outcomes.counts.entry("pair")
    assert (entry.kept, entry.deferred, entry.rejected.total()) == (1, 1, 0)


def test_an_answer_that_cannot_be_read_is_asked_for_once_more():
    row = pair("cat", "dog")
    (link,) = chain_of("modification_mtcir").links
    question = next(iter(ChainRows([row]).questions(link)))
    (request,) = question.requests
    second = again(request, "Sure!").request_id
    for answers, texts, reasons in [
        ({request.request_id: said("Sure!"), second: said(both(["with a ball"]))}, ["with a ball"], set()),
        ({request.request_id: said("Sure!"), second: said("Sorry!")}, [], {"unparsable_answer"}),
        ({request.request_id: said("Sure!")}, [], {"unparsable_answer"}),
        ({request.request_id: said("Sure!"), second: Unanswered("timeout", "failed")}, [], {"timeout"}),
    ]:
        rows, outcomes = ChainRows([row]), CollectedOutcomes()
        rows.take(link, Answers(answers), outcomes)
        assert [one.candidate.text for one in rows.texts[0]] == texts
        assert {one.reason for one in rows.reasons[0].values()} == reasons


def test_of_several_samples_the_chosen_one_is_read():
    (link,) = chain_of("caption", samples=3).links
    rows = ChainRows([pair("cat", "dog")])
    questions = list(rows.questions(link))
    assert [len(one.requests) for one in questions] == [3, 3]
    answers = {
        request.request_id: said(f"A cat number {number}.")
        for one in questions
        for number, request in enumerate(one.requests)
    }
    chosen = {questions[0].requests[0].request_id: 2}
    rows.take(link, Answers(answers, chosen), CollectedOutcomes())
    assert rows.facts["p1", "cat"]["caption"] == "A cat number 2."


def test_tasks_without_a_model_write_from_the_row():
    chain = chain_of("templates")
    assert chain.links == ()
    rows, outcomes = ChainRows([pair("cat", "dog"), pair("cat", "fox", target_text=None)]), CollectedOutcomes()
    rows.write(chain.tasks[0][0], outcomes)
    assert rows.texts[0]
    assert not rows.texts[1]
    assert all(one.source is None and one.method == "templates" for one in rows.texts[0])
    assert outcomes.counts.entry("text").entered == len(rows.texts[0])


def test_a_task_that_is_not_there_is_said():
    with pytest.raises(ConfigurationError, match=r"no task 'captoin'.*caption"):
        chain_of("captoin")


@given(st.text(max_size=200), st.sampled_from(["modification_mtcir", "instruction_magiclens", "modification_fine"]))
def test_whatever_is_answered_every_pair_ends_with_texts_or_a_reason(answer, task):
    rows = ChainRows([pair("cat", "dog"), pair("dog", "cat")])
    outcomes, _ = go(rows, chain_of(task), lambda link, row: answer)
    write_triplets(rows, WriteConfig().filters, outcomes)
    assert not outcomes.counts.unbalanced()
    assert outcomes.counts.entry("pair").entered == 2
