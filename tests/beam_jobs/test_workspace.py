import pytest

from beam_jobs.workspace import DataFile, Manifest, Workspace, basis_of, stage_of
from schemas.errors import LensmithError
from schemas.outcomes import Counts


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path))


def manifest(key="k", digest="d", path="pages/k-1.parquet", kept=1, seconds=1.0):
    counts = Counts()
    counts.entry("page").entered = counts.entry("page").kept = kept
    return Manifest("extract_pages", key, {"pages": (DataFile(path, 1, 10, digest),)}, counts, seconds, {"a": 1})


def test_a_manifest_is_committed_once_and_reads_back(workspace):
    assert workspace.commit(manifest())
    assert not workspace.commit(manifest(path="pages/k-2.parquet"))
    found = workspace.manifest("extract_pages", "k")
    assert found.to_json() == manifest().to_json()
    assert workspace.committed("extract_pages") == {"k"}
    assert workspace.manifest("extract_pages", "other") is None


def test_the_digest_is_of_content_not_of_the_attempt():
    assert manifest(path="pages/k-1.parquet", seconds=1).digest == manifest(path="pages/k-2.parquet", seconds=9).digest
    assert manifest().digest != manifest(digest="e").digest
    assert manifest().digest != manifest(kept=2).digest
    assert basis_of([manifest()]) != basis_of([manifest(), manifest()])
    assert basis_of([manifest()]) != basis_of([manifest()], "more")


def test_manifests_come_in_the_order_of_the_plan_and_a_missing_one_is_an_error(workspace):
    for key in "ab":
        workspace.commit(manifest(key))
    assert [one.key for one in workspace.manifests("extract_pages", ["b", "a"])] == ["b", "a"]
    with pytest.raises(LensmithError, match="run the stage again"):
        workspace.manifests("extract_pages", ["c"])


def test_what_is_in_force_is_noted(workspace):
    assert workspace.in_force("extract_pages") == []
    workspace.set_in_force("extract_pages", ["b", "a"], "basis")
    assert workspace.in_force("extract_pages") == ["b", "a"]


def test_a_job_belongs_to_a_stage():
    assert stage_of("extract_pages.revisits") == "extract_pages"
    assert stage_of("mine_pairs") == "mine_pairs"
