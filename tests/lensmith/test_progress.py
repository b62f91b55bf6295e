import io
import json
import os
import threading
import time

import pytest
from rich.console import Console

from beam_jobs.workspace import Manifest, Workspace
from lensmith import progress
from lensmith.output_folder import exclusive, open_output
from lensmith.progress import Watch, current_job, plural, stage_rows, stage_table, summary
from schemas.outcomes import Counts


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(str(tmp_path / "out"))
    open_output(workspace, 100, 16)
    return workspace


def counts(kept=3, rejected=0, failed=0, deferred=0):
    made = Counts()
    entry = made.entry("image")
    entry.kept, entry.deferred = kept, deferred
    entry.rejected["too_small"] += rejected
    entry.failed["crashed"] += failed
    entry.entered = kept + rejected + failed + deferred
    return made


def commit(workspace, key):
    workspace.commit(Manifest("annotate_images", key, {}, counts()))


def text_of(table, width=120):
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()


def test_a_log_gets_plain_lines(workspace):
    sink = io.StringIO()
    with Watch(workspace, Console(file=sink, width=60)) as watch:
        commit(workspace, "a")
        watch.stage("annotate_images")
        watch.begin("index images_once", ())
        watch.begin("annotate_images", ["a", "b", "c"])
        commit(workspace, "b")
        commit(workspace, "c")
        workspace.set_in_force("annotate_images", ["a", "b", "c"], "basis")
        watch.end("annotate_images")
        watch.begin("annotate_images.texts", [])
    assert sink.getvalue().splitlines() == [
        "index images_once",
        "annotate_images: 2 of 3 shards to do",
        "annotate_images: 9 of 9 images kept",
        "annotate_images.texts",
    ]


def test_a_terminal_gets_a_live_table(workspace, monkeypatch):
    sink = io.StringIO()
    with Watch(workspace, Console(file=sink, force_terminal=True, width=100)) as watch:
        watch.stage("annotate_images")
        watch.begin("annotate_images", ["a", "b"])
        commit(workspace, "a")
        deadline = time.monotonic() + 20
        while "1 of 2 shards" not in sink.getvalue() and time.monotonic() < deadline:
            time.sleep(0.1)
    assert "1 of 2 shards" in sink.getvalue()
    assert "publish_dataset" in sink.getvalue()


def test_the_note_tells_another_shell_what_is_going_on(workspace):
    assert current_job(workspace) is None
    with exclusive(workspace), Watch(workspace, Console(file=io.StringIO())) as watch:
        watch.stage("annotate_images")
        watch.begin("annotate_images", ["a", "b"])
        commit(workspace, "b")
        current = current_job(workspace)
        assert (current.stage, current.job, current.done, current.shards) == (
            "annotate_images",
            "annotate_images",
            1,
            2,
        )
        assert current.alive
        table = text_of(stage_table(stage_rows(workspace), current))
        assert "1 of 2 shards" in table
    assert current_job(workspace) is None


def test_a_note_without_a_run_is_of_one_that_was_cut_off(workspace):
    watch = Watch(workspace, Console(file=io.StringIO()))
    watch.stage("annotate_images")
    watch.begin("annotate_images", ["a"])
    assert not current_job(workspace).alive


def test_on_a_store_a_run_is_alive_while_it_gives_signs(tmp_path):
    workspace = Workspace(f"memory://{tmp_path}")
    watch = Watch(workspace, Console(file=io.StringIO()))
    watch.begin("annotate_images", ["a"])
    assert current_job(workspace).alive
    note = workspace.folder.read_json("_work/progress.json")
    workspace.folder.replace("_work/progress.json", json.dumps(note | {"sign": time.time() - 600}).encode())
    assert not current_job(workspace).alive
    workspace.folder.remove("", recursive=True)


def test_a_look_that_fails_does_not_end_the_watching(workspace, monkeypatch):
    sink, looks = io.StringIO(), []
    monkeypatch.setattr(progress, "_LOG_SECONDS", 0.01)
    real = Workspace.committed

    def committed(self, stage):
        if threading.current_thread().name == "lensmith-progress":
            looks.append(stage)
            if len(looks) == 1:
                raise OSError("the network is away")
        return real(self, stage)

    monkeypatch.setattr(Workspace, "committed", committed)
    with Watch(workspace, Console(file=sink)) as watch:
        watch.begin("annotate_images", ["a"])
        deadline = time.monotonic() + 20
        while len(looks) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert "annotate_images, 0 of 1 shards" in sink.getvalue()


def test_a_summary_by_hand():
    assert summary(Counts()) == "nothing to do"
    assert summary(counts(kept=1200, rejected=34)) == "1,200 of 1,234 images kept"
    assert [plural(unit) for unit in ("address", "candidate_pair")] == ["addresses", "candidate pairs"]
    assert summary(counts(3, 1, 2, 4)) == "3 of 10 images kept, 1 dropped, 2 failed, 4 deferred"


def test_the_table_shows_what_is_done_and_what_is_to_come(workspace):
    commit(workspace, "a")
    workspace.set_in_force("annotate_images", ["a"], "basis")
    lines = text_of(stage_table(stage_rows(workspace), None)).splitlines()
    by_stage = {line.split()[0]: line.split()[1:] for line in lines}
    assert by_stage["annotate_images"][:3] == ["done", "3", "images"]
    assert by_stage["mine_pairs"] == ["–"]
    assert os.listdir(workspace.path) == ["_work"]
