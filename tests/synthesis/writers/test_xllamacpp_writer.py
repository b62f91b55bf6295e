import json

import pytest

from schemas.errors import ConfigurationError
from schemas.protocols import InstructionWriter
from synthesis.config import WriterConfig
from synthesis.prompt_files import load_prompt
from synthesis.writers.xllamacpp_writer import XllamacppWriter, model_file

pytest.importorskip("xllamacpp")

OPTIONS = {
    "The bridge at noon": ["Show the bridge covered by ice", "Show it at noon", "Find a boat"],
    'The "café"': ['An "old" café', "– Ünter den Linden, §5", "C++ & C# [beta] {x} <y> \\ back | pipe"],
    "東京": ["東京の夜景", "party 🎉 hats", "Ford Model T"],
}
COLOUR = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "maxLength": 12},
        "shades": {"type": "array", "items": {"enum": ["light", "dark"]}, "minItems": 1, "maxItems": 2},
    },
    "required": ["colour", "shades"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def small():
    return XllamacppWriter(WriterConfig())


def one_of(options):
    """A grammar of fixed texts."""
    return "root ::= " + " | ".join(json.dumps(one, ensure_ascii=False) for one in options)


def asked(name, content, **parameters):
    given = {"temperature": 0.0, "max_tokens": 48, "seed": 0} | parameters
    messages = [{"role": "system", "content": "Answer in few words."}, {"role": "user", "content": content}]
    return {"request_id": name, "messages": messages, "parameters": given, "image_ids": [], "images": []}


def answers(small, *requests):
    found = list(small.stream(iter(requests)))
    assert [request["request_id"] for request, _ in found] == [request["request_id"] for request in requests]
    return [answer for _, answer in found]


def choices():
    return [asked(text, text, grammar=one_of(options)) for text, options in OPTIONS.items()]


def test_every_answer_is_in_its_grammar(small):
    assert isinstance(small, InstructionWriter)
    for found, options in zip(answers(small, *choices()), OPTIONS.values(), strict=True):
        assert found["error"] is None
        assert found["text"] in options
        assert (found["finish_reason"], found["tries"]) == ("stop", 1)


def test_an_answer_is_json_of_its_schema(small):
    (found,) = answers(small, asked("a", "Name a colour.", schema=COLOUR, max_tokens=200))
    assert (found["error"], found["finish_reason"]) == (None, "stop")
    data = json.loads(found["text"])
    assert set(data) == {"colour", "shades"}
    assert isinstance(data["colour"], str)
    assert len(data["colour"]) <= 12
    assert data["shades"]
    assert set(data["shades"]) <= {"light", "dark"}


def test_tokens_are_counted_whatever_the_cache_holds(small):
    first, again = answers(
        small, asked("a", "Name a colour.", max_tokens=9), asked("b", "Name a colour.", max_tokens=9)
    )
    assert (first["completion_tokens"], first["finish_reason"]) == (9, "length")
    assert first == again
    (longer,) = answers(small, asked("a", "Name a colour." + " Name" * 10, max_tokens=9))
    assert longer["prompt_tokens"] == first["prompt_tokens"] + 10


def test_answers_depend_on_neither_order_nor_company(small):
    requests = [*choices(), asked("free", "Name a colour.", temperature=1.0, seed=5)]
    one_by_one = [answers(small, one)[0]["text"] for one in requests]
    assert [one["text"] for one in reversed(answers(small, *reversed(requests)))] == one_by_one


def test_nearly_equal_texts_do_not_hang_on_what_was_asked_before():
    """Of these two the model finds each as likely as the other, but for the last bits: they follow the number of tokens
    that are computed at once, and with it what the cache holds."""

    def pair(query, target, *options):
        row = {"page_title": "Transformation — Wand 0.6.11", "query_text": query, "target_text": target}
        messages = load_prompt("span_copy").render(row)
        parameters = {"temperature": 0.0, "max_tokens": 64, "seed": 0, "grammar": one_of(options)}
        return {"request_id": target, "messages": messages, "parameters": parameters, "image_ids": [], "images": []}

    close = pair("transform", "transform flopped", "Switch to flopped", "Change it to flopped")
    before = {
        "nothing": [],
        "the same beginning": [pair("transform", "transform flipped", "Switch to flipped", "Change it to flipped")],
        "another page": [asked("a", "What is ice?"), pair("Sharpen", "Emboss", "Show the emboss version")],
        "itself": [close],
    }
    found = {
        name: answers(XllamacppWriter(WriterConfig()), *asked_before, close)[-1]
        for name, asked_before in before.items()
    }
    texts = {name: (one["text"], one["completion_tokens"]) for name, one in found.items()}
    assert len(set(texts.values())) == 1, texts


def test_samples_follow_their_seed_and_temperature(small):
    made = [asked(str(seed), "Tell of a colour.", temperature=1.2, seed=seed, max_tokens=12) for seed in range(3)]
    texts = [one["text"] for one in answers(small, *made)]
    assert len(set(texts)) == 3
    greedy = [one["text"] for one in answers(small, *(asked("a", "Tell of it.", seed=seed) for seed in range(2)))]
    assert greedy[0] == greedy[1]


def test_requests_are_drawn_one_by_one(small):
    drawn = []

    def many():
        for number in range(3):
            drawn.append(number)
            yield asked(str(number), "a", grammar='root ::= "b"')

    stream = small.stream(many())
    next(stream)
    assert drawn == [0]


def test_a_large_grammar_is_taken(small):
    options = [
        f"Show the {first}{second} version" for first in "bdfgklmnprstvwxz" for second in ("an", "el", "in", "or")
    ]
    (found,) = answers(small, asked("a", "Which?", grammar=one_of(options)))
    assert found["text"] in options


def test_a_bad_request_spoils_no_other(small):
    good = choices()[0]
    shown = [{"type": "text", "text": "What is"}, {"type": "image", "image": 0}]
    found = answers(
        small,
        good,
        asked("grammar", "a", grammar="root ::= ("),
        asked("schema", "a", schema={"type": "nonsense"}),
        asked("image", shown),
        asked("long", "word " * 5000),
        asked("parts", [{"type": "text", "text": "only text"}], max_tokens=8),
        good | {"parameters": good["parameters"] | {"image_side": 768, "schema": COLOUR}},
    )
    errors = [None if one["error"] is None else one["error"].partition(":")[0] for one in found]
    assert errors == [None, "llama_cpp", "llama_cpp", "no_images", "too_long", None, None]
    assert found[0]["text"] == found[-1]["text"]
    assert [one["text"] for one in found[1:5]] == [None] * 4
    assert "4096" in found[4]["error"]


def test_files_of_models(tmp_path):
    packaged = model_file(WriterConfig())
    assert packaged.read_bytes()[:4] == b"GGUF"
    other = tmp_path / "private" / "other.gguf"
    other.parent.mkdir()
    other.symlink_to(packaged)
    made = XllamacppWriter(WriterConfig(model="other", model_file=str(other)))
    assert (made.name, made.revision) == ("other", "sha256 b179c9523d0e6a0f")
    assert "private" not in json.dumps([made.name, made.revision])
    for settings, words in (
        ({"model": "other"}, "model_file"),
        ({"model": "other", "model_file": str(tmp_path / "none.gguf")}, "GGUF"),
        ({"model_file": str(other)}, "name of its own"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            model_file(WriterConfig(**settings))
    (tmp_path / "bad.gguf").write_bytes(b"GGUF but no model")
    with pytest.raises(ConfigurationError, match="cannot load"):
        XllamacppWriter(WriterConfig(model="bad", model_file=str(tmp_path / "bad.gguf")))
