import os

import pytest

from beam_jobs.workspace import Workspace
from lensmith.output_folder import (
    at_work,
    exclusive,
    known_output,
    open_output,
    plan_inputs,
    stored_plan,
    workspace_at,
)
from mining.archives.inputs import ArchiveFile
from schemas.errors import ConfigurationError


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "out"))


def archive(name, size=10, stamp="1"):
    return ArchiveFile(f"/crawl/{name}", "warc", size, f"{size} {stamp}")


A, B, C = archive("a.warc.gz"), archive("b.warc.gz"), archive("c.warc.gz")


def names(plan):
    return [[one.name for one in shard] for shard in plan.shards]


def test_what_a_folder_fixed_first_stands(workspace):
    assert open_output(workspace, 100, 16).shard_bytes == 100
    again = open_output(workspace, 7, 4)
    assert (again.shard_bytes, again.buckets) == (100, 16)


def test_folders_that_are_not_ours_are_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="it holds thesis"):
        open_output(Workspace(str(tmp_path)), 100, 16)
    with pytest.raises(ConfigurationError, match="is a file"):
        open_output(Workspace(str(tmp_path / "thesis.txt")), 100, 16)
    assert os.listdir(tmp_path) == ["thesis.txt"]
    with pytest.raises(ConfigurationError, match="give the --output of a run"):
        known_output(str(tmp_path))


def test_an_empty_folder_and_one_whose_first_moment_was_cut_short_are_taken(tmp_path):
    (tmp_path / "_work").mkdir()
    (tmp_path / "_work" / f"output.json.{'0' * 32}.part").write_bytes(b"{")
    assert open_output(Workspace(str(tmp_path)), 100, 16).buckets == 16


def test_another_layout_is_refused(workspace):
    open_output(workspace, 100, 16)
    workspace.folder.replace("_work/output.json", b'{"layout": 99, "shard_bytes": 1, "buckets": 1}')
    with pytest.raises(ConfigurationError, match="another version"):
        open_output(workspace, 100, 16)


def test_the_plan_is_stored_and_small_archives_are_packed_together(workspace):
    output = open_output(workspace, 25, 16)
    plan = plan_inputs(workspace, output, [A, B, C], extend=False)
    assert names(plan) == [["a.warc.gz", "b.warc.gz"], ["c.warc.gz"]]
    assert names(stored_plan(workspace)) == names(plan)
    assert plan_inputs(workspace, output, [A, B, C], extend=False).added == 0


def test_other_inputs_need_extend_which_appends(workspace):
    output = open_output(workspace, 25, 16)
    plan_inputs(workspace, output, [B], extend=False)
    with pytest.raises(ConfigurationError, match=r"a\.warc\.gz is new"):
        plan_inputs(workspace, output, [A, B], extend=False)
    with pytest.raises(ConfigurationError, match=r"a\.warc\.gz is new"):
        plan_inputs(workspace, output, [A], extend=False)
    plan = plan_inputs(workspace, output, [A, C], extend=True)
    assert names(plan) == [["b.warc.gz"], ["a.warc.gz", "c.warc.gz"]]
    assert names(plan_inputs(workspace, output, [A, B, C], extend=False)) == names(plan)
    with pytest.raises(ConfigurationError, match="give them all"):
        plan_inputs(workspace, output, [A], extend=False)


@pytest.mark.parametrize("extend", [False, True])
def test_an_archive_that_changed_is_refused(workspace, extend):
    output = open_output(workspace, 25, 16)
    plan_inputs(workspace, output, [A], extend=False)
    with pytest.raises(ConfigurationError, match="has changed"):
        plan_inputs(workspace, output, [archive("a.warc.gz", stamp="2")], extend=extend)


def test_the_owner_is_the_same_wherever_the_archives_lie(workspace, tmp_path):
    plan = plan_inputs(workspace, open_output(workspace, 25, 16), [A, B], extend=False)
    moved = [ArchiveFile(f"s3://bucket/{one.name}", "warc", one.size, "etag") for one in (A, B)]
    other = Workspace(str(tmp_path / "other"))
    assert plan_inputs(other, open_output(other, 25, 16), moved, extend=False).owner == plan.owner
    third = Workspace(str(tmp_path / "third"))
    assert plan_inputs(third, open_output(third, 25, 16), [A, C], extend=False).owner != plan.owner


def test_no_plan_names_the_first_stage(workspace):
    open_output(workspace, 25, 16)
    with pytest.raises(ConfigurationError, match="run extract-pages with --input first"):
        stored_plan(workspace)


def test_one_run_at_a_time_and_the_lock_ends_with_it(workspace):
    open_output(workspace, 25, 16)
    assert at_work(workspace) is False
    with exclusive(workspace):
        assert at_work(workspace) is True
        with pytest.raises(ConfigurationError, match=f"process {os.getpid()}"), exclusive(workspace):
            pass
    assert at_work(workspace) is False
    with exclusive(workspace):
        pass


def test_a_relative_path_is_one_from_the_root_and_an_address_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert workspace_at("out").path == str(tmp_path / "out")
    assert workspace_at("s3://bucket/run").path == "s3://bucket/run"
