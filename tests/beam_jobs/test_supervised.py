import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from beam_jobs.supervised import ChildLostError, ChildPool, SupervisedChild
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


def test_a_child_that_dies_with_nothing_in_hand_is_an_error_of_the_machine(supervised):
    with pytest.raises(ChildLostError, match="crashed_sigkill 4 times in a row"):
        supervised.call("child_functions:die_without_a_mark")


def test_a_child_that_dies_on_what_is_in_quarantine_already_is_an_error_of_the_machine(supervised):
    with pytest.raises(ChildLostError, match="4 times in a row"):
        supervised.call("child_functions:die_whatever_is_said")


def test_a_pool_lends_each_child_once_and_ends_those_of_other_purposes():
    pool = ChildPool()
    one = pool.lend("extract", 2.0)
    other = pool.lend("extract", 2.0)
    assert one is not other
    pool.take_back("extract", one)
    assert pool.lend("extract", 2.0) is one
    assert one.call("child_functions:add", 1, 1) == 2
    process = one._process
    pool.take_back("extract", one)
    third = pool.lend("annotate", 2.0)
    assert third is not one
    assert process.poll() is not None
    for each in (one, other, third):
        each.close()


def test_a_child_ends_with_its_parent(tmp_path):
    code = (
        "import os, time; from beam_jobs.supervised import SupervisedChild; one = SupervisedChild();"
        "one.call('child_functions:add', 1, 2); print(one._process.pid, flush=True); time.sleep(60)"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[2])])
    environment = os.environ | {"PYTHONPATH": path}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while _runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
