import pytest

from synthesis.config import WriteConfig
from synthesis.requests import again, make_requests
from synthesis.tasks import make_task
from synthesis.tasks.interface import Ask

SPRING = {
    "page_title": "Old bridges",
    "query_text": "The bridge in spring",
    "target_text": "The bridge in winter",
    "visual_similarity": 0.7,
}


def asked(row=SPRING, **settings):
    config = WriteConfig(chain=("instruction_magiclens",), **settings).of("instruction_magiclens")
    ask = make_task("instruction_magiclens", config).steps[0].format_input(row)
    assert isinstance(ask, Ask)
    (request,) = make_requests(ask, config)
    return request


def test_ids_are_the_same_everywhere():
    assert asked().request_id == asked().request_id
    assert len(asked().request_id) == 32


def test_ids_follow_what_decides_an_answer_and_nothing_else():
    first = asked()
    same = asked(
        threads=4,
        concurrency=2,
        base_url="http://elsewhere.example/v1",
        timeout=3,
        attempts=1,
        filters={"min_words": 5},
        api_key_variable="OTHER",
    )
    assert same == first
    others = [
        asked(temperature=0.5),
        asked(seed=1),
        asked(max_tokens=100),
        asked(texts=5),
        asked(model="other"),
        asked(tasks={"instruction_magiclens": {"model": "third"}}),
        asked(SPRING | {"target_text": "The bridge in autumn"}),
    ]
    assert len({one.request_id for one in (first, *others)}) == 8


def test_another_version_of_a_prompt_is_another_request():
    config = WriteConfig().of("span_copy")
    ask = make_task("span_copy", config).steps[0].format_input(SPRING)
    newer = type(ask.prompt)(**{**ask.prompt.__dict__, "version": ask.prompt.version + "x"})
    ids = {make_requests(Ask(one, ask.messages), config)[0].request_id for one in (ask.prompt, newer)}
    assert len(ids) == 2


def test_samples_differ_in_their_seed():
    config = WriteConfig(seed=7).of("span_copy")
    ask = make_task("span_copy", config).steps[0].format_input(SPRING)
    found = make_requests(Ask(ask.prompt, ask.messages, samples=3, temperature=0.7), config)
    assert [one.parameters["seed"] for one in found] == [7, 8, 9]
    assert len({one.request_id for one in found}) == 3
    assert {one.parameters["temperature"] for one in found} == {0.7}


def test_images_and_their_size_decide_an_answer():
    config = WriteConfig(image_side=512).of("caption")
    ask = make_task("span_copy", config).steps[0].format_input(SPRING)
    found = [
        make_requests(Ask(ask.prompt, ask.messages, image_ids=ids), config)[0] for ids in ((), ("a", "b"), ("b", "a"))
    ]
    assert len({one.request_id for one in found}) == 3
    assert found[1].parameters["image_side"] == 512
    assert "image_side" not in found[0].parameters


@pytest.mark.parametrize("bad", ["no JSON at all", "", "x" * 10_000])
def test_asking_again_shows_the_bad_answer_once(bad):
    first = asked()
    second = again(first, bad)
    assert second.follows == first.request_id
    assert second.request_id != first.request_id
    assert second.messages[: len(first.messages)] == first.messages
    assert len(second.messages) == len(first.messages) + 2
    assert len(second.messages[-2]["content"]) <= 2000
    assert second.messages[-2]["content"]
