from pathlib import Path

import pytest
from made_jobs import PlainEngine, TextsJob, WordsStep

from beam_jobs.index_step import answer_map, answers_folder
from beam_jobs.session import Session, asker
from beam_jobs.shard_job import Shard
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from schemas.errors import ConfigurationError


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "out"))


@pytest.fixture
def job(workspace, tmp_path):
    (tmp_path / "diary").touch()
    return TextsJob(workspace, str(tmp_path / "diary"))


def plan(session, *texts, **work):
    return [Shard(session.shard_key("annotate_images.texts", text), {"text": text} | work) for text in texts]


def diary(job):
    return Path(job.diary).read_text().split()


def test_shards_are_done_once(workspace, job):
    engine = PlainEngine()
    for _ in range(2):
        session = Session(workspace, engine)
        manifests = session.shards(job, plan(session, "a", "b"))
        assert [next(rows(workspace, one, "texts"))["text"] for one in manifests] == ["a", "b"]
    assert diary(job) == ["a", "b"]
    assert engine.ran == ["annotate_images.texts"]
    assert workspace.in_force(job.stage) == [one.key for one in manifests]
    assert session.worked == {job.stage: 0}


def test_a_run_goes_on_where_one_ended_with_a_fault(workspace, job):
    session = Session(workspace, PlainEngine())
    with pytest.raises(ValueError, match="a fault"):
        session.shards(job, plan(session, "a", "bad", "b"))
    assert workspace.in_force(job.stage) == []
    session = Session(workspace, PlainEngine())
    session.shards(job, plan(session, "a", "b"))
    assert diary(job) == ["a", "bad", "b"]


def test_a_changed_plan_does_the_new_shards_and_says_so(workspace, job):
    session = Session(workspace, PlainEngine())
    session.shards(job, plan(session, "a", "b"))
    session = Session(workspace, PlainEngine())
    said = []
    session.progress.say = said.append
    session.shards(job, plan(session, "b", "c"))
    assert said == ["annotate_images.texts: inputs or settings changed, 1 of 2 shards are to do."]
    assert diary(job) == ["a", "b", "c"]


def test_forced_stages_are_done_again_and_once_although_the_run_is_cut_off(workspace, job):
    session = Session(workspace, PlainEngine())
    session.shards(job, plan(session, "a", "b"))

    def forced():
        session = Session(workspace, PlainEngine(), forced=frozenset({"annotate_images"}))
        session.force()
        return session

    session = forced()
    with pytest.raises(ValueError, match="a fault"):
        session.shards(job, plan(session, "a", "bad", "b"))
    session = forced()
    session.shards(job, plan(session, "a", "b"))
    session.end_forcing()
    assert diary(job) == ["a", "b", "a", "bad", "b"]
    session = forced()
    session.shards(job, plan(session, "a", "b"))
    assert diary(job)[5:] == ["a", "b"]


def test_a_retry_takes_up_failures_and_the_latest_outcome_stands(workspace, job):
    session = Session(workspace, PlainEngine())
    shards = [*plan(session, "a"), *plan(session, "b", fail=True)]
    first = session.shards(job, shards)
    assert [one.counts.units["text"].failed.total() for one in first] == [0, 1]
    for _ in range(2):
        session = Session(workspace, PlainEngine(), retry_failed=True)
        again = session.shards(job, shards)
        assert [one.counts.units["text"].failed.total() for one in again] == [0, 0]
    assert again[0].key == first[0].key
    assert again[1].key != first[1].key
    assert workspace.in_force(job.stage) == [one.key for one in again]
    assert diary(job) == ["a", "b", "b"]
    without = Session(workspace, PlainEngine())
    assert [one.key for one in without.shards(job, shards)] == [one.key for one in again]


def test_a_retry_of_a_later_stage_leaves_the_failures_of_earlier_ones(workspace, job):
    shards = plan(Session(workspace, PlainEngine()), "a") + plan(Session(workspace, PlainEngine()), "b", fail=True)
    first = Session(workspace, PlainEngine()).shards(job, shards)
    later = Session(workspace, PlainEngine(), retry_failed=True, working=frozenset({"write_instructions"}))
    assert [one.key for one in later.shards(job, shards)] == [one.key for one in first]
    own = Session(workspace, PlainEngine(), retry_failed=True, working=frozenset({"annotate_images"}))
    assert [one.key == two.key for one, two in zip(own.shards(job, shards), first, strict=True)] == [True, False]
    assert diary(job) == ["a", "b", "b"]


def test_a_stage_that_may_not_work_must_be_done(workspace, job):
    session = Session(workspace, PlainEngine(), working=frozenset({"mine_pairs"}))
    with pytest.raises(ConfigurationError, match="run `lensmith annotate-images` first"):
        session.shards(job, plan(session, "a"))
    assert diary(job) == []


def test_an_index_step_runs_once_and_answers_do_not_depend_on_the_order_of_messages(tmp_path):
    tasks = [("000000", "red blue"), ("000001", "blue green"), ("000002", "blue")]
    found = []
    for name, backwards in (("one", False), ("two", True)):
        workspace = Workspace(str(tmp_path / name))
        engine = PlainEngine(backwards)
        for _ in range(2):
            answers = Session(workspace, engine).index(WordsStep(workspace), tasks, "key")
        assert engine.ran == ["index_words"]
        assert {one: dict(answer_map(workspace, answers[one].path)) for one in answers} == {
            asker(number): {"blue": b"000000,000001,000002"} for number in range(3)
        }
        found.append({one: (answers[one].digest, answers[one].weight) for one in answers})
    assert found[0] == found[1]


def test_an_index_step_that_was_cut_off_is_run_again(workspace):
    step, tasks = WordsStep(workspace), [("000000", "red"), ("000001", "red")]
    session = Session(workspace, PlainEngine())
    session.index(step, tasks, "key")
    workspace.folder.remove(f"{answers_folder('words', 'key')}/done.json")
    again = Session(workspace, PlainEngine())
    assert set(again.index(step, tasks, "key")) == {"000000", "000001"}
    assert again.engine.ran == ["index_words"]
    assert again.used_answers == {answers_folder("words", "key")}


def test_an_index_step_without_tasks_runs_no_pipeline(workspace):
    session = Session(workspace, PlainEngine())
    assert session.index(WordsStep(workspace), [], "key") == {}
    assert session.engine.ran == []
