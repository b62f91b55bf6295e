import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_jobs import WordsStep

from beam_jobs.index_step import answer_map, find_answers, read_answers, resolve, tell, write_answers
from beam_jobs.workspace import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return Workspace(str(tmp_path_factory.mktemp("index")))


def test_a_task_tells_by_key_and_a_key_is_resolved_for_its_askers(workspace):
    step = WordsStep(workspace)
    assert list(tell(step, ("1", "b a b"))) == [("a", ("1", b"1")), ("b", ("1", b"1"))]
    assert list(resolve(step, "a", [("2", b"2"), ("1", b"1"), ("", b"0")])) == [
        ("1", ("a", b"0,1,2")),
        ("2", ("a", b"0,1,2")),
    ]
    assert list(resolve(step, "a", [("1", b"1")])) == []


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=20), st.binary(max_size=40), max_size=20),
    st.randoms(),
)
def test_answers_read_back_sorted_under_the_digest_of_their_content(workspace, answers, random):
    shuffled = list(answers.items())
    random.shuffle(shuffled)
    name = uuid.uuid4().hex
    for order in (shuffled, sorted(answers.items())):
        write_answers(workspace, f"_work/index/words/{name}", "000001", order)
    found = find_answers(workspace, "words", name)
    assert list(found) == ["000001"]
    assert found["000001"].weight == len(answers)
    assert list(read_answers(workspace, found["000001"].path)) == sorted(answers.items())


def test_other_answers_have_another_name(workspace):
    write_answers(workspace, "_work/index/words/k", "1", [("a", b"1")])
    write_answers(workspace, "_work/index/words/l", "1", [("a", b"2")])
    digests = [find_answers(workspace, "words", key)["1"].digest for key in "kl"]
    assert digests[0] != digests[1]


def test_no_file_is_no_answers(workspace):
    assert answer_map(workspace, None) == {}
    assert find_answers(workspace, "words", "never") == {}
