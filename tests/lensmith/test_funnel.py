import json

import pytest

from beam_jobs.workspace import Manifest, Workspace
from lensmith.funnel import check_budget, funnel, write_funnel
from schemas.errors import RunFailedError
from schemas.outcomes import Counts


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path))


def commit(workspace, job, key, unit, entered, failed=None, rejected=None, out=None):
    counts = Counts()
    entry = counts.entry(unit)
    entry.failed.update(failed or {})
    entry.rejected.update(rejected or {})
    entry.entered, entry.kept = entered, entered - entry.failed.total() - entry.rejected.total()
    counts.made.update(out or {})
    workspace.commit(Manifest(job, key, {}, counts))


def test_shards_in_force_are_summed_and_others_are_not(workspace):
    commit(workspace, "extract_pages", "a", "record", 10, rejected={"not_found": 2}, out={"page": 8})
    commit(workspace, "extract_pages", "b", "record", 5, rejected={"not_found": 1}, out={"page": 4})
    commit(workspace, "extract_pages", "old", "record", 500)
    workspace.set_in_force("extract_pages", ["a", "b"], "basis")
    commit(workspace, "extract_pages.revisits", "c", "record", 3, out={"page": 3})
    workspace.set_in_force("extract_pages.revisits", ["c"], "basis")
    expected = {
        "stage": "extract_pages",
        "unit": "record",
        "in": 18,
        "kept": 15,
        "rejected": {"not_found": 3},
        "failed": {},
        "deferred": 0,
        "out": {"page": 15},
    }
    assert funnel(workspace) == {"stages": [expected]}
    assert write_funnel(workspace) == json.loads(workspace.folder.read("funnel.json"))


def test_a_stage_that_nothing_entered_has_an_entry_and_one_that_never_ran_has_none(workspace):
    workspace.set_in_force("fetch_images", [], "basis")
    (entry,) = funnel(workspace)["stages"]
    assert (entry["stage"], entry["unit"], entry["in"], entry["kept"]) == ("fetch_images", "address", 0, 0)


@pytest.mark.parametrize(
    ("stage", "unit", "failed", "max_failed", "stops"),
    [
        ("annotate_images", "image", 5, None, False),
        ("annotate_images", "image", 6, None, True),
        ("annotate_images", "image", 6, 0.06, False),
        ("annotate_images", "image", 1, 0.0, True),
        ("fetch_images", "address", 50, None, False),
        ("fetch_images", "address", 51, None, True),
        ("fetch_images", "address", 6, 0.05, True),
        ("extract_pages", "record", 99, None, False),
        ("extract_pages", "record", 99, 0.0, False),
        ("extract_pages", "record", 100, None, True),
    ],
)
def test_the_budget_of_failures(workspace, stage, unit, failed, max_failed, stops):
    commit(workspace, stage, "a", unit, 100, failed={"time_out": failed})
    workspace.set_in_force(stage, ["a"], "basis")
    if stops:
        with pytest.raises(RunFailedError, match=f"rejected/{stage}"):
            check_budget(workspace, stage, max_failed)
    else:
        check_budget(workspace, stage, max_failed)


def test_rejections_and_hosts_without_a_robots_txt_do_not_count(workspace):
    commit(workspace, "fetch_images", "a", "address", 100, {"robots_unreachable": 60}, {"not_found": 40})
    workspace.set_in_force("fetch_images", ["a"], "basis")
    check_budget(workspace, "fetch_images", 0.0)


def test_an_extraction_without_any_record_fails(workspace):
    workspace.set_in_force("extract_pages", [], "basis")
    with pytest.raises(RunFailedError, match="no record"):
        check_budget(workspace, "extract_pages", None)
