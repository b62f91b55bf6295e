"""The transforms on Beam's own runner, in threads: what a plain loop gives."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_jobs import PlainEngine, TextsJob, WaitingStep, WordsStep

from beam_jobs.index_step import answer_map
from beam_jobs.session import Session
from beam_jobs.shard_job import Shard
from beam_jobs.workspace import Workspace
from lensmith.engine import BeamEngine
from schemas.errors import ConfigurationError, RunFailedError


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "out"))


def test_a_shard_map_commits_every_shard(workspace, tmp_path):
    job = TextsJob(workspace, str(tmp_path / "diary"))
    shards = [Shard(f"{number:032d}", {"text": f"text{number}"}) for number in range(20)]
    manifests = Session(workspace, BeamEngine(())).shards(job, shards)
    assert [one.key for one in manifests] == [one.key for one in shards]
    assert sorted(Path(job.diary).read_text().split()) == sorted(one.work["text"] for one in shards)


def test_a_fault_of_a_shard_ends_the_run_with_its_text_and_the_others_stay(workspace, tmp_path, capfd, caplog):
    job = TextsJob(workspace, str(tmp_path / "diary"))
    session = Session(workspace, BeamEngine(()))
    session.shards(job, [Shard("a" * 32, {"text": "good"})])
    with pytest.raises(RunFailedError, match=r"annotate_images\.texts failed: a fault \(ValueError\)"):
        session.shards(job, [Shard("a" * 32, {"text": "good"}), Shard("b" * 32, {"text": "bad"})])
    assert workspace.committed(job.stage) == {"a" * 32}
    # The fault is ours to mend: the log holds where it is, and Beam's workers print nothing beside it.
    assert caplog.text.count("made_jobs.py") > 0
    assert "Traceback" not in capfd.readouterr().err


def test_the_exchange_of_an_index_step_gives_what_a_plain_loop_gives(tmp_path):
    tasks = [(f"{number:06d}", " ".join("abcdefgh"[: 1 + number % 8])) for number in range(30)]
    found = []
    for name, engine in (("beam", BeamEngine(())), ("plain", PlainEngine())):
        workspace = Workspace(str(tmp_path / name))
        answers = Session(workspace, engine).index(WordsStep(workspace), tasks, "key")
        found.append({one: (answers[one].digest, dict(answer_map(workspace, answers[one].path))) for one in answers})
    assert found[0] == found[1]
    assert len(found[0]) == 30


@pytest.mark.parametrize(
    "options", [(), ("--direct_num_workers=2",), ("--direct_running_mode=multi_threading", "--direct_num_workers=3")]
)
def test_no_message_is_lost_where_tasks_wait_outside_of_pythons_lock(workspace, options):
    count, tasks = 2000, [f"{number:06d}" for number in range(10)]
    answers = Session(workspace, BeamEngine(options)).index(WaitingStep(workspace, count), tasks, "key")
    assert {one: found.weight for one, found in answers.items()} == dict.fromkeys(tasks, count)


class ForgetfulEngine(PlainEngine):
    """Ends well without the last shard."""

    def run(self, label, transform):
        super().run(label, replace(transform, shards=transform.shards[:-1]))


def test_a_runner_that_loses_a_shard_is_told_of(workspace, tmp_path):
    job = TextsJob(workspace, str(tmp_path / "diary"))
    shards = [Shard(f"{number:032d}", {"text": f"text{number}"}) for number in range(3)]
    with pytest.raises(RunFailedError, match=r"without 1 of its 3 shards: the same command does what is missing"):
        Session(workspace, ForgetfulEngine()).shards(job, shards)
    assert len(Session(workspace, PlainEngine()).shards(job, shards)) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--runner=Spinning"], "there is no runner 'Spinning'"),
        (["--direct_num_workers=many"], "invalid int value"),
    ],
)
def test_wrong_options_are_refused_before_any_work(options, words):
    with pytest.raises(ConfigurationError, match=words):
        BeamEngine(options)


def test_names_of_the_local_runner_and_of_others():
    assert BeamEngine(()).runner == "DirectRunner"
    assert BeamEngine(["--runner=FnApiRunner"]).is_local
    flink = BeamEngine(["--runner=FlinkRunner", "--flink_master=localhost:8081"])
    assert (flink.runner, flink.is_local) == ("FlinkRunner", False)
