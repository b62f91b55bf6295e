import pytest

from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from lensmith.cleaning import clean


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path))


def commit(workspace, key, rejected=False):
    writer = ShardWriter(workspace, "annotate_images.texts", key * 32)
    writer.row("texts", {"text_id": key, "text": key, "embedding": [0.0]})
    writer.entered("text", 2)
    writer.kept("text")
    if rejected:
        writer.rejected("text", "too_long", id=key)
    else:
        writer.deferred("text", "later", id=key)
    return writer.commit()


def files(workspace):
    folder = workspace.folder
    names = ("_work/side/texts", "rejected/annotate_images", "_work/deferred/annotate_images")
    return {f"{name}/{one}" for name in names for one in folder.list(name)}


def named(*manifests):
    return {file.path for one in manifests for table in one.files.values() for file in table}


def test_what_is_in_force_stays_and_everything_else_goes(workspace):
    old, new = commit(workspace, "a", rejected=True), commit(workspace, "b")
    ShardWriter(workspace, "annotate_images.texts", "c" * 32).row(
        "texts", {"text_id": "c", "text": "c", "embedding": [0.0]}
    )
    workspace.set_in_force("annotate_images.texts", [new.key], "basis")
    workspace.folder.create("_work/index/step/used/done.json", b"{}")
    workspace.folder.create("_work/index/step/unused/done.json", b"{}")
    half = f"_work/manifests/x.json.{'0' * 32}.part"
    with workspace.folder.open(half, "wb") as sink:
        sink.write(b"{")
    clean(workspace, {"_work/index/step/used"}, complete=False)
    assert files(workspace) == named(new)
    assert workspace.committed("annotate_images.texts") == {new.key} != {old.key}
    assert workspace.folder.list("_work/index/step") == ["unused", "used"]
    assert workspace.folder.half_made("_work") == []
    clean(workspace, {"_work/index/step/used"}, complete=True)
    assert workspace.folder.list("_work/index/step") == ["used"]


def test_a_job_that_is_in_the_midst_of_its_first_run_keeps_what_it_has_done(workspace):
    first = commit(workspace, "a")
    clean(workspace, set(), complete=True)
    assert workspace.committed("annotate_images.texts") == {first.key}
    assert files(workspace) == named(first)


def test_a_file_that_two_manifests_name_stays_while_one_is_in_force(workspace):
    first = commit(workspace, "a")
    retry = ShardWriter(workspace, "annotate_images.texts", "b" * 32)
    retry.adopt("texts", list(first.files["texts"]))
    second = retry.commit()
    workspace.set_in_force("annotate_images.texts", [second.key], "basis")
    clean(workspace, set(), complete=True)
    assert files(workspace) == named(second) == {first.files["texts"][0].path}


def test_a_job_that_its_stage_no_longer_has_goes_at_the_end_of_a_whole_run(workspace):
    first = commit(workspace, "a")
    workspace.set_in_force("annotate_images", [], "basis")
    clean(workspace, set(), complete=False)
    assert workspace.committed("annotate_images.texts") == {first.key}
    clean(workspace, set(), complete=True)
    assert workspace.committed("annotate_images.texts") == set()
    assert files(workspace) == set()


def test_an_index_of_the_search_stays_while_a_manifest_in_force_names_it(workspace):
    keys = []
    for key in "ab":
        writer = ShardWriter(workspace, "mine_pairs.index.image", key * 32)
        writer.notes["file"] = f"_work/search/image/part-{key}.faiss"
        workspace.folder.create(writer.notes["file"], b"index")
        keys.append(writer.commit().key)
    workspace.folder.create("_work/search/text/part-c.faiss", b"of no manifest")
    workspace.set_in_force("mine_pairs.index.image", keys[1:], "basis")
    clean(workspace, set(), complete=False)
    assert workspace.folder.list("_work/search/image") == ["part-b.faiss"]
    assert workspace.folder.list("_work/search/text") == []
    workspace.set_in_force("mine_pairs", [], "basis")
    workspace.end_force("mine_pairs.index.image")
    clean(workspace, set(), complete=True)
    assert workspace.folder.list("_work/search/image") == []
