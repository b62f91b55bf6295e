import json

import pytest

from schemas.errors import ConfigurationError
from schemas.protocols import InstructionWriter
from synthesis.config import WriteConfig
from synthesis.requests import Request, Variables
from synthesis.tasks.span_copy import SpanCopy, grammar
from synthesis.writers import load_writer
from synthesis.writers.xllamacpp_writer import XllamacppWriter, model_file

pytest.importorskip("xllamacpp")
TASK = SpanCopy(WriteConfig())
PAIRS = [
    Variables("Old bridges", "The bridge at noon", "The bridge covered by ice", alike=True),
    Variables("Filters", "Wave", "Sepia tone", alike=True),
    Variables('The "café"', "a cat", 'An "old" café – Ünter den Linden, §5'),
    Variables("Symbols", "a cat", "C++ & C# [beta] {x} <y> \\ back | pipe ^ $ ~ ` ' quotes"),
    Variables("東京", "a cat", "東京の夜景"),
    Variables("Emoji", "a cat", "party 🎉 hats with confetti"),
    Variables("Models", "Ford Model T", "Engine"),
]


@pytest.fixture(scope="module")
def small():
    return load_writer(WriteConfig())


def asked(variables):
    request = TASK.format_input(variables)
    assert isinstance(request, Request)
    return request.to_dict()


def test_every_answer_is_in_its_grammar(small):
    assert isinstance(small, InstructionWriter)
    for variables in PAIRS:
        (found,) = small.write([asked(variables)])
        assert found["error"] is None
        (candidate,) = TASK.format_output(found["text"], variables)
        assert candidate.text
        assert found["finish_reason"] == "stop"


def test_answers_depend_on_neither_order_nor_company(small):
    one_by_one = [small.write([asked(variables)])[0]["text"] for variables in PAIRS[:3]]
    backwards = small.write([asked(variables) for variables in reversed(PAIRS[:3])])
    assert [one["text"] for one in reversed(backwards)] == one_by_one


def test_a_large_grammar_is_taken(small):
    options = [
        f"Show the {first}{second} version" for first in "bdfgklmnprstvwxz" for second in ("an", "el", "in", "or")
    ]
    request = asked(PAIRS[0])
    (found,) = small.write([request | {"parameters": request["parameters"] | {"grammar": grammar(options)}}])
    assert found["text"] in options


def test_a_broken_grammar_spoils_its_own_request_only(small):
    good = asked(PAIRS[0])
    bad = good | {"parameters": good["parameters"] | {"grammar": "root ::= ("}}
    first, broken, last = small.write([good, bad, good])
    assert broken["error"].startswith("llama_cpp")
    assert broken["text"] is None
    assert first["text"] == last["text"]


def test_one_model_a_process(small):
    assert load_writer(WriteConfig(texts=5)) is small


def test_files_of_models(tmp_path):
    packaged = model_file(WriteConfig())
    assert packaged.read_bytes()[:4] == b"GGUF"
    other = tmp_path / "private" / "other.gguf"
    other.parent.mkdir()
    other.symlink_to(packaged)
    made = XllamacppWriter(WriteConfig(model="other", model_file=str(other)))
    assert (made.name, made.revision) == ("other", "sha256 b179c9523d0e6a0f")
    assert "private" not in json.dumps([made.name, made.revision])
    for settings, words in (
        ({"model": "other"}, "model_file"),
        ({"model": "other", "model_file": str(tmp_path / "none.gguf")}, "GGUF"),
        ({"model_file": str(other)}, "name of its own"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            model_file(WriteConfig(**settings))
    (tmp_path / "bad.gguf").write_bytes(b"GGUF but no model")
    with pytest.raises(ConfigurationError, match="cannot load"):
        XllamacppWriter(WriteConfig(model="bad", model_file=str(tmp_path / "bad.gguf")))
