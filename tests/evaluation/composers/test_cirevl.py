"""CIReVL with a captioner, a writer and an encoder that are small but whole."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.composers import (
    CIREVL_PROMPTS,
    cirevl,
    describe_edits,
    description_scores,
    parse_description,
    text_only,
)
from evaluation.composers.cirevl_prompts import STYLE_OF_BENCHMARK
from schemas.protocols import Captioner, InstructionWriter, TextEncoder

WORDS = ["dog", "snow", "sofa", "two", "one", "red", "hat", "without"]


class BagOfWords:
    name, revision, dimension = "words", "1", len(WORDS)

    def encode(self, texts):
        counts = np.array([[text.lower().split().count(word) for word in WORDS] for text in texts], np.float32)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


class Labels:
    name, revision = "labels", "1"

    def caption(self, images):
        return [image.decode() or None for image in images]


class Script:
    """Answers by the user's message; keeps what it was asked."""

    name, revision = "script", "1"

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def stream(self, requests):
        for request in requests:
            self.asked.append(request)
            text = self.answer(request)
            error = text if text in {"timeout", "http_500"} else None
            yield request, {"text": None if error else text, "error": error}


def obedient(request):
    content, instruction = request["messages"][1]["content"].split("\n")
    return f"Sure.\nEdited Description: {content.removeprefix('Image Content: ')} {instruction[13:]}: and more\nBye"


@pytest.mark.parametrize(
    ("answer", "description"),
    [
        ("Edited Description: a dog in snow", "a dog in snow"),
        ("Here it is:\n  Edited Description:   a dog  \nEdited Description: a cat", "a dog"),
        ("Edited Description: a dog: in snow", "a dog"),
        ("Edited Description:\na dog", "fall back"),
        ("Edited Description:   \nEdited Description: late", "fall back"),
        ("The Edited Description: a dog", "fall back"),
        ("edited description: a dog", "fall back"),
        ("Edited Description a dog", "fall back"),
        ("", "fall back"),
    ],
)
def test_answers_are_read_as_the_published_code_reads_them(answer, description):
    assert parse_description(answer, "fall back") == description


def test_caption_edit_and_embedding():
    writer = Script(obedient)
    assert isinstance(writer, InstructionWriter)
    assert isinstance(Labels(), Captioner)
    assert isinstance(BagOfWords(), TextEncoder)
    result = cirevl(
        [b"two dog", b"sofa"],
        ["in snow", "red"],
        captioner=Labels(),
        writer=writer,
        encoder=BagOfWords(),
        style="contextual",
    )
    assert result.descriptions.captions == ("two dog", "sofa")
    assert result.descriptions.texts == (("two dog in snow",), ("sofa red",))
    assert result.descriptions.outcomes == {"described": 2}
    assert result.embeddings.shape == (2, 1, len(WORDS))
    assert result.embeddings.dtype == np.float32
    expected = np.zeros((2, 1, len(WORDS)))
    expected[0, 0, [0, 1, 3]] = 3**-0.5
    expected[1, 0, [2, 5]] = 2**-0.5
    assert np.allclose(result.embeddings, expected)
    system, user = writer.asked[0]["messages"]
    assert system["content"] == CIREVL_PROMPTS["contextual"]
    assert user["content"] == "Image Content: two dog\nInstruction: in snow"
    assert len({request["request_id"] for request in writer.asked}) == 2


def test_failures_fall_back_to_the_instruction_and_are_counted():
    answers = {"a": "timeout", "b": "Edited Description:", "c": "no idea", "d": "Edited Description: fine"}
    writer = Script(lambda request: answers[request["messages"][1]["content"].split("\n")[0][-1]])
    described = describe_edits(["a", "b", None, "c", "d"], ["1", "2", "3", "4", "5"], writer=writer)
    assert described.texts == (("1",), ("2",), ("3",), ("4",), ("fine",))
    assert described.outcomes == {"no_answer": 1, "no_description": 2, "no_caption": 1, "described": 1}
    assert len(writer.asked) == 4, "nothing is asked about a picture without a caption"


def test_a_description_that_repeats_the_instruction_is_a_description():
    described = describe_edits(["a"], ["same"], writer=Script(lambda request: "Edited Description: same"))
    assert described.outcomes == {"described": 1}


def test_several_descriptions_are_asked_for_apart_and_scores_are_averaged():
    writer = Script(lambda request: f"Edited Description: {WORDS[request['parameters']['seed']]}")
    result = cirevl(
        [b"dog", b"hat"],
        ["one", "two"],
        captioner=Labels(),
        writer=writer,
        encoder=BagOfWords(),
        descriptions=3,
        parameters={"temperature": 0.7},
    )
    assert result.descriptions.texts == (("dog", "snow", "sofa"),) * 2
    assert writer.asked[1]["parameters"] == {"temperature": 0.7, "seed": 1}
    assert len({request["request_id"] for request in writer.asked}) == 6
    gallery = np.eye(len(WORDS), dtype=np.float32)[[0, 1, 5]] * 4
    scores = description_scores(result.embeddings, gallery)
    assert np.allclose(scores, [[1 / 3, 1 / 3, 0]] * 2), "cosines averaged"
    averaged = text_only(result.embeddings.mean(axis=1)) @ text_only(gallery).T
    assert not np.allclose(scores, averaged), "features averaged would score higher"


def test_descriptions_score_as_a_loop_over_them():
    rng = np.random.default_rng(0)
    descriptions, gallery = rng.normal(size=(4, 3, 6)), rng.normal(size=(5, 6))
    expected = np.zeros((4, 5))
    for i in range(4):
        for j in range(5):
            for k in range(3):
                d, g = descriptions[i, k], gallery[j]
                expected[i, j] += d @ g / np.linalg.norm(d) / np.linalg.norm(g) / 3
    assert np.allclose(description_scores(descriptions, gallery), expected, rtol=0, atol=1e-12)


def test_nothing_asked_gives_nothing():
    result = cirevl([], [], captioner=Labels(), writer=Script(obedient), encoder=BagOfWords())
    assert result.embeddings.shape == (0, 1, len(WORDS))


def test_wrong_calls_are_refused():
    with pytest.raises(ValueError, match="contextual, structural, short"):
        describe_edits(["a"], ["b"], writer=Script(obedient), style="long")
    with pytest.raises(ValueError, match="1 captions, 2 instructions"):
        describe_edits(["a"], ["b", "c"], writer=Script(obedient))
    assert set(STYLE_OF_BENCHMARK.values()) == set(CIREVL_PROMPTS)
