import sys
from pathlib import Path

import pytest

from beam_jobs.supervised import SupervisedChild
from schemas.errors import MissingPackageError


@pytest.fixture
def supervised(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])
    one = SupervisedChild(seconds_a_record=2.0)
    yield one
    one.close()


def test_answers_and_exceptions_come_back(supervised):
    assert supervised.call("child_functions:add", 1, 2) == 3
    with pytest.raises(ValueError, match="a fault of the function"):
        supervised.call("child_functions:fail")
    assert supervised.call("child_functions:add", 3, 4) == 7


def test_a_record_that_kills_the_child_is_quarantined_and_the_others_are_done(supervised):
    assert supervised.call("child_functions:crash_on", ["a", "crash", "b"]) == [
        ("a", "ok"),
        ("crash", "crashed_sigsegv"),
        ("b", "ok"),
    ]


def test_a_record_that_hangs_is_quarantined(supervised):
    assert supervised.call("child_functions:crash_on", ["hang", "b"]) == [("hang", "timed_out"), ("b", "ok")]


def test_what_a_library_prints_does_not_reach_the_answers(supervised):
    assert supervised.call("child_functions:print_and_answer") == "answer"


def test_errors_for_the_user_survive_the_way_between_processes():
    import pickle

    error = pickle.loads(pickle.dumps(MissingPackageError("torch", "local", "a model")))
    assert error.exit_code == 2
    assert "lensmith[local]" in str(error)
