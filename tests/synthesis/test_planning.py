"""Estimates from samples, and answers that are made up."""

import json
import math
import random
import statistics

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthesis.chain import Question, make_chain
from synthesis.config import TaskConfig, WriteConfig
from synthesis.costs import Price
from synthesis.planning import Spread, plan_step, spread
from synthesis.requests import again, make_requests
from synthesis.run_rows import StepRun
from synthesis.stand_in import StandIn, example
from synthesis.tasks import TASKS, make_task
from synthesis.tasks.interface import Ask


def test_the_interval_is_students():
    # Mean 3, standard deviation sqrt(2.5), n = 5: 3 ± 2.776 · 0.7071, and a sample of 5 in a million.
    found = spread([1, 2, 3, 4, 5], 1_000_000)
    assert found.value == 3_000_000
    half = 2.7764 * math.sqrt(2.5 / 5)
    assert found.low == pytest.approx((3 - half) * 1e6, rel=2e-3)
    assert found.high == pytest.approx((3 + half) * 1e6, rel=2e-3)


def test_a_whole_that_was_sampled_is_known():
    assert spread([1, 2, 6], 3) == Spread(9, 9, 9)
    half = spread([1, 2, 6], 6)
    assert (half.value, half.low) == (18, 0)
    assert half.high < spread([1, 2, 6], 600).high / 100


def test_the_interval_holds_the_truth_as_often_as_it_says():
    source = random.Random(5)
    whole = [source.gammavariate(4, 25) for _ in range(2000)]
    truth, held = sum(whole), 0
    for _ in range(400):
        found = spread(source.sample(whole, 20), len(whole))
        held += found.low <= truth <= found.high
    assert 0.90 <= held / 400 <= 0.99


def test_of_units_that_are_drawn_together_each_tells_less():
    source = random.Random(7)
    # Couples that are alike to a hair: twenty of them are ten.
    whole = [source.gammavariate(4, 25) for _ in range(1000)]
    truth, held, naive = 2 * sum(whole), 0, 0
    for _ in range(400):
        chosen = source.sample(range(1000), 10)
        values, groups = [whole[one] for one in chosen for _ in range(2)], [one for one in chosen for _ in range(2)]
        found, single = spread(values, 2000, groups), spread(values, 2000)
        held += found.low <= truth <= found.high
        naive += single.low <= truth <= single.high
        assert found.value == single.value
    assert 0.90 <= held / 400 <= 0.99
    assert naive / 400 < 0.88
    # Groups of one are single units.
    assert spread(values, 2000, list(range(20))) == single


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.integers(1, 10**9))
def test_the_estimate_lies_in_its_interval(values, units):
    found = spread(values, units)
    assert 0 <= found.low <= found.value * (1 + 1e-9)
    assert found.value <= found.high * (1 + 1e-9)
    assert found.value == pytest.approx(statistics.fmean(values) * units, rel=1e-9, abs=1e-6)


def made_run(asked=2, tokens=((100, 10), (300, 30)), again_for=None, seconds=4.0, **settings):
    """A step of magiclens with one question a pair, answered with these tokens of prompt and answer."""
    link = make_chain(WriteConfig(chain=("instruction_magiclens",), model="m", **settings)).links[0]
    questions, rows = [], []
    for number, (prompt, completion) in enumerate(tokens):
        row = {"query_text": f"cat {number}", "target_text": f"dog {number}", "page_title": "t"}
        ask = link.step.format_input(row)
        assert isinstance(ask, Ask)
        (request,) = make_requests(ask, link.config)
        questions.append(Question((f"pair {number}",), row, ask, (request,)))
        answer = {"request_id": request.request_id, "follows": None, "text": "x", "messages": "", "image_ids": []}
        rows.append(answer | {"prompt_tokens": prompt, "completion_tokens": completion})
        if number == again_for:
            second = again(request, "no")
            rows.append(rows[-1] | {"request_id": second.request_id, "follows": request.request_id})
    return StepRun(link, tuple(questions), tuple(rows), asked, seconds)


def drawn(*names):
    return {(name,): name for name in names}


def test_a_step_over_all_units():
    keys = drawn("pair 0", "pair 1", "without a question", "as well")
    found = plan_step("write_instructions", made_run(), keys, 4000, Price(input=1.0, output=10.0))
    assert (found.step, found.model, found.sampled) == ("instruction_magiclens", "m", 4)
    assert found.requests.value == 2000
    assert (found.prompt_tokens.value, found.completion_tokens.value) == (400_000, 40_000)
    assert found.cost.value == pytest.approx(0.4 + 0.4)
    # Two answers in four seconds: two thousand take 4000.
    assert (found.hours.value, found.measured) == (pytest.approx(4000 / 3600), True)
    by_rate = plan_step("write_instructions", made_run(), keys, 4000, Price(tokens_per_second=100, gpu_hour=2.0))
    assert (by_rate.hours.value, by_rate.measured) == (pytest.approx(400 / 3600), False)
    assert by_rate.cost.value == pytest.approx(by_rate.hours.value * 2)


def test_questions_that_were_asked_twice_count_twice_and_stored_answers_tell_no_time():
    keys = drawn("pair 0", "pair 1")
    found = plan_step("write_instructions", made_run(asked=0, again_for=1), keys, 200, None)
    assert found.requests.value == 300
    assert found.prompt_tokens.value == 100 * (100 + 2 * 300)
    assert (found.hours, found.cost) == (None, None)


def test_made_up_answers_are_the_lower_end():
    run = made_run(tokens=((100, 10), (100, 10)), again_for=0, max_tokens=64)
    keys = drawn("pair 0", "pair 1")
    found = plan_step("write_instructions", run, keys, 200, Price(output=1.0), at_most=True)
    assert found.requests == Spread(200, 200, 200)
    assert found.completion_tokens == Spread(200 * 64, 200 * 10, 200 * 64)
    assert (found.cost.low, found.cost.high) == (pytest.approx(0.002), pytest.approx(0.0128))
    assert found.hours is None


def test_of_a_sample_that_failed_nothing_is_known():
    assert plan_step("write_instructions", made_run(), {}, 200, None).requests is None


def test_made_up_answers_have_the_form_that_every_task_asks_for():
    row = {
        "page_id": "p",
        "page_title": "Views",
        "image_id": "i",
        "text": "a cat",
        "query_text": "a cat",
        "target_text": "a dog",
        "query_caption": "a cat on a mat",
        "target_caption": "a dog on a log",
        "caption": "a cat on a mat",
        "query_image_id": "a" * 64,
        "target_image_id": "b" * 64,
    }
    seen = 0
    for name in sorted(set(TASKS) - {"rewrite", "verify_image", "verify_text", "verify_rewritten"}):
        config = TaskConfig(model="m")
        for step in make_task(name, config).steps[:1]:
            ask = step.format_input(row)
            if not isinstance(ask, Ask):
                continue
            (request, *_) = make_requests(ask, config)
            ((_, answer),) = StandIn("m").stream([request.to_dict()])
            if ask.schema is not None:
                seen += 1
                jsonschema.validate(json.loads(answer["text"]), ask.schema)
            assert answer["error"] is None
    assert seen >= 3


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 3}, 3),
        ({"type": ["null", "integer"], "minimum": 4}, 4),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"anyOf": [{"type": "array", "items": {"type": "number"}, "minItems": 2}, {"type": "null"}]}, [1, 1]),
        ({"properties": {"a": {"type": "integer"}}}, {"a": 1}),
    ],
)
def test_examples(schema, value):
    assert example(schema) == value
