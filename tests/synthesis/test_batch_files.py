"""Batch files against the published rules, and results as OpenAI and vLLM write them."""

import base64
import io
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import canonical_json
from synthesis.batch_files import Files, Limits, Results, batch_line, generation_row, places_of, read_result

SCHEMA = {"type": "object", "properties": {"why": {"type": "string"}, "text": {"type": "string"}}}


def waiting(number=0, model="m", images=(), **parameters):
    content = [{"type": "image", "image": 0}, {"type": "text", "text": "what is it?"}] if images else f"q {number}"
    given = {"temperature": 0.0, "max_tokens": 64, "seed": 3} | parameters
    return {
        "request_id": f"{number:032x}",
        "prompt": "caption@2",
        "model": model,
        "parameters": json.dumps(given),
        "messages": canonical_json([{"role": "user", "content": content}]),
        "image_ids": list(images),
        "follows": None,
    }


def completion(text, **more):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 21, "completion_tokens": 5, "total_tokens": 26}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m-2024",
        "choices": [choice],
        "usage": usage,
    } | more


def openai_good(name, text):
    response = {"status_code": 200, "request_id": "af0b", "body": completion(text)}
    return {"id": "batch_req_1", "custom_id": name, "response": response, "error": None}


def openai_refused(name, status=400, message="too long"):
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    response = {"status_code": status, "request_id": "af0b", "body": {"error": error}}
    return {"id": "batch_req_2", "custom_id": name, "response": response, "error": None}


def openai_expired(name):
    error = {"code": "batch_expired", "message": "could not be executed before the completion window ended"}
    return {"id": "batch_req_3", "custom_id": name, "response": None, "error": error}


def vllm_good(name, text):
    body = completion(text) | {"choices": [completion(text)["choices"][0] | {"stop_reason": None}]}
    response = {"status_code": 200, "request_id": "vllm-batch-1", "body": body}
    return {"id": "vllm-1", "custom_id": name, "response": response, "error": None}


def vllm_refused(name):
    error = {"error": {"message": "max_tokens is too large", "type": "BadRequestError", "param": None, "code": 400}}
    response = {"status_code": 400, "request_id": "vllm-batch-2", "body": None}
    return {"id": "vllm-2", "custom_id": name, "response": response, "error": error}


def vllm_broken(name):
    response = {"status_code": 400, "request_id": "vllm-batch-3", "body": None}
    return {"id": "vllm-3", "custom_id": name, "response": response, "error": "EngineDeadError"}


def lines(*results):
    return b"".join(json.dumps(one).encode() + b"\n" for one in results)


def read(*files):
    results = Results()
    for number, data in enumerate(files):
        for place, line in places_of(io.BytesIO(data), number):
            results.add(place, line)
    found = {}
    for name, (_, place) in results.found.items():
        found[name] = read_result(files[place.file][place.offset : place.offset + place.length])
    return results, found


def test_a_line_is_what_the_api_publishes():
    line = batch_line(waiting(7, schema=SCHEMA, grammar="root ::= 'a'"), [], "schema")
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    data = json.loads(line)
    assert list(data) == ["custom_id", "method", "url", "body"]
    assert (data["custom_id"], data["method"], data["url"]) == (f"{7:032x}", "POST", "/v1/chat/completions")
    body = data["body"]
    assert (body["model"], body["messages"]) == ("m", [{"role": "user", "content": "q 7"}])
    assert {name: body[name] for name in ("temperature", "max_tokens", "seed")} == {
        "temperature": 0.0,
        "max_tokens": 64,
        "seed": 3,
    }
    form = body["response_format"]["json_schema"]
    assert (form["name"], list(form["schema"]["properties"])) == ("caption", ["why", "text"])
    # What is ours alone does not travel: OpenAI refuses parameters that it does not know.
    assert not {"schema", "grammar", "image_side", "images"} & body.keys()
    assert "response_format" not in json.loads(batch_line(waiting(schema=SCHEMA), [], "off"))["body"]


def test_images_are_data_in_the_place_that_the_prompt_gives_them():
    picture = b"\xff\xd8\xff\xe0 a picture"
    data = json.loads(batch_line(waiting(images=("a" * 64,), image_side=64), [picture], "off"))
    first, second = data["body"]["messages"][0]["content"]
    head, _, encoded = first["image_url"]["url"].partition(",")
    assert (first["type"], head, base64.b64decode(encoded)) == ("image_url", "data:image/jpeg;base64", picture)
    assert second == {"type": "text", "text": "what is it?"}
    assert "image_side" not in data["body"]


def test_files_hold_one_model_and_no_more_than_they_may():
    files = Files(Limits(requests=2, bytes=100))
    placed = [files.place(model, b"x" * size) for model, size in [("a/b", 40), ("c", 40), ("a/b", 60), ("a/b", 1)]]
    assert placed[0] == placed[2]
    assert len({*placed}) == 3
    assert placed[0].startswith("a-b-")
    assert placed[0].endswith("-00001.jsonl")
    assert placed[3].endswith("-00002.jsonl")
    # By bytes: 1 + 99 fit, one more does not, and what fits nowhere is said to.
    assert files.place("a/b", b"x" * 99) == placed[3]
    assert files.place("a/b", b"x").endswith("-00003.jsonl")
    assert files.place("a/b", b"x" * 101) is None
    assert files.place("a-b", b"x") not in placed


@given(st.lists(st.tuples(st.sampled_from(["m", "n"]), st.integers(1, 60)), max_size=60), st.integers(1, 7))
def test_every_line_that_fits_is_in_one_file(given_lines, requests):
    files, held = Files(Limits(requests, 50)), {}
    for model, size in given_lines:
        name = files.place(model, b"x" * size)
        assert (name is None) == (size > 50)
        if name is not None:
            held.setdefault(name, []).append((model, size))
    for members in held.values():
        assert len({model for model, _ in members}) == 1
        assert len(members) <= requests
        assert sum(size for _, size in members) <= 50
    assert sum(map(len, held.values())) == sum(size <= 50 for _, size in given_lines)


@pytest.mark.parametrize(
    ("line", "outcome", "reason"),
    [
        (openai_good("a", "fine"), "answered", ""),
        (vllm_good("a", "fine"), "answered", ""),
        (openai_good("a", None), "answered", ""),
        (openai_refused("a"), "refused", "http_400"),
        (vllm_refused("a"), "refused", "http_400"),
        (openai_refused("a", 429), "failed", "http_429"),
        (openai_refused("a", 500), "failed", "http_500"),
        # A key, a model: no fault of the request.
        (openai_refused("a", 401), "failed", "http_401"),
        (openai_refused("a", 404), "failed", "http_404"),
        (
            openai_refused("a", 400, "'response_format' of type 'json_schema' is not supported"),
            "failed",
            "form_refused",
        ),
        (openai_expired("a"), "failed", "batch_expired"),
        (vllm_broken("a"), "failed", "batch_error"),
        ({"custom_id": "a", "response": {"status_code": 200, "body": {"choices": []}}}, "failed", "bad_answer"),
        ({"custom_id": "a", "response": {"status_code": 0, "body": None}, "error": None}, "failed", "no_status"),
        ({"custom_id": "a", "response": None, "error": {"code": "Odd Code!"}}, "failed", "batch_error"),
        ({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}, "broken", "no_result"),
        ({"id": "b", "response": None}, "broken", "no_custom_id"),
        (["a"], "broken", "no_custom_id"),
    ],
)
def test_what_a_line_says(line, outcome, reason):
    found = read_result(json.dumps(line).encode())
    assert (found.outcome, found.reason) == (outcome, reason)
    assert (found.fields != {}) == (outcome == "answered")


@pytest.mark.parametrize("line", [b"{", b"", b"\xff\xfe", b"[" * 100_000, b'{"custom_id": 3}', b"9" * 5000])
def test_broken_lines_are_said_to_be_broken(line):
    assert read_result(line).outcome == "broken"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(
                    ["custom_id", "response", "error", "body", "status_code", "choices", "message", "content", "code"]
                ),
                inner,
                max_size=5,
            )
            | st.lists(inner, max_size=3)
        ),
        max_leaves=20,
    )
)
def test_no_line_is_too_odd_to_read(data):
    assert read_result(json.dumps(data).encode()).outcome in ("answered", "refused", "failed", "broken")


@pytest.mark.parametrize("good", [openai_good, vllm_good])
def test_results_in_any_order_and_several_files(good):
    names = [f"{number:032x}" for number in range(40)]
    rows = [good(name, f"text {name}") for name in names]
    random.Random(1).shuffle(rows)
    results, found = read(lines(*rows[:17]), lines(*rows[17:]) + b"\n  \n")
    assert {name: one.fields["text"] for name, one in found.items()} == {name: f"text {name}" for name in names}
    assert results.counts == {"lines": 40}


def test_of_doubled_lines_the_first_good_one_stands():
    cut = lines(openai_good("d", "cut"))[:-30]
    output = lines(vllm_broken("a"), vllm_good("a", "first"), vllm_good("a", "second"), openai_good("b", "only")) + cut
    errors = lines(openai_refused("b"), openai_refused("c"), openai_expired("c"))
    for files in ((output, errors), (errors, output)):
        results, found = read(*files)
        assert {name: (one.outcome, one.reason) for name, one in found.items()} == {
            "a": ("answered", ""),
            "b": ("answered", ""),
            "c": ("refused", "http_400"),
        }
        assert found["a"].fields["text"] == "first"
        assert results.counts == {"lines": 8, "doubled": 4, "broken: no_json": 1}


def test_rows_are_those_of_an_endpoint():
    asked = waiting(5, schema=SCHEMA)
    row = generation_row(asked, read_result(lines(openai_good(asked["request_id"], "half \ud83d of"))), "as served")
    assert row == {
        "request_id": asked["request_id"],
        "follows": None,
        "prompt": "caption@2",
        "model": "m (as served)",
        "parameters": canonical_json(json.loads(asked["parameters"])),
        "messages": asked["messages"],
        "image_ids": [],
        "text": "half  of",
        "finish_reason": "stop",
        "error": None,
        "prompt_tokens": 21,
        "completion_tokens": 5,
    }
    refused = generation_row(asked, read_result(lines(vllm_refused(asked["request_id"]))), "as served")
    assert (refused["text"], refused["error"], refused["prompt_tokens"]) == (None, "http_400", None)
