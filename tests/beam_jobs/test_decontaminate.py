import numpy as np
import pytest
from made_jobs import PlainEngine

from beam_jobs.decontaminate import run_decontaminate
from beam_jobs.session import Session
from beam_jobs.shard_writer import ShardWriter
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from mining.decontamination.config import DecontaminationConfig, FingerprintConfig
from mining.decontamination.read import digests_of_files
from mining.decontamination.variants import NAMES
from mining.decontamination.write import ImagePrints, Origin, TextPrints, write_fingerprints
from schemas.errors import ConfigurationError


def numbers(seed, count):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 1 << 64, (count, len(NAMES)), np.uint64, endpoint=False)
    return hashes, rng.integers(-99, 99, (count, 64)).astype(np.int8)


HASHES, SKETCHES = numbers(0, 6)


@pytest.fixture
def files(tmp_path):
    """Benchmarks of the first three images, and of the fourth."""
    paths = []
    for name, chosen in (("first", (0, 1, 2)), ("second", (3,))):
        prints = ImagePrints([f"{one}.jpg" for one in chosen], sketches=[SKETCHES[list(chosen)]])
        for one in chosen:
            prints.hashes.extend(HASHES[one].tolist())
        about = Origin(name, "a-model@1", FingerprintConfig(), 1000)
        write_fingerprints(f"{tmp_path}/{name}.parquet", about, prints, TextPrints())
        paths.append(f"{tmp_path}/{name}.parquet")
    return tuple(paths)


@pytest.fixture
def annotated(tmp_path):
    """Two shards of annotations, with images of both benchmarks and of none; and an empty one."""
    workspace = Workspace(str(tmp_path / "out"))
    manifests = []
    for shard, images in enumerate(((5, 1, 3), (4, 2), ())):
        writer = ShardWriter(workspace, "annotate_images", f"{shard:032x}")
        for one in images:
            row = {
                "image_id": f"{one:064x}",
                "width": 10,
                "height": 10,
                "format": "PNG",
                "animated": False,
                "phash": f"{HASHES[one, 0]:016x}",
                "flatness": 0.1,
                "sketch": SKETCHES[one].tobytes(),
                "models": "a-model (1); open_nsfw (2)",
            }
            writer.row("annotations", row)
        manifests.append(writer.commit())
    return workspace, manifests


def run(workspace, manifests, files, engine=None, **settings):
    config = DecontaminationConfig(files=files, **settings)
    session = Session(workspace, engine or PlainEngine())
    return session, run_decontaminate(session, manifests, config, digests_of_files(config))


def test_matches_are_written_by_shard_and_counted(annotated, files):
    workspace, manifests = annotated
    _, done = run(workspace, manifests, files)
    found = [
        [(int(row["image_id"], 16), row["benchmark"], row["how"]) for row in rows(workspace, one, "matches")]
        for one in done
    ]
    assert found == [[(1, "first", "hash"), (3, "second", "hash")], [(2, "first", "hash")], []]
    assert next(rows(workspace, done[0], "matches"))["detail"] == (
        "first: 1.jpg, 0 bits differ, visual similarity 1.0000"
    )
    assert [one.counts.to_json()["units"]["image"] for one in done] == [
        {"in": 3, "kept": 1, "rejected": {"in_benchmark": 2}, "failed": {}, "deferred": 0},
        {"in": 2, "kept": 1, "rejected": {"in_benchmark": 1}, "failed": {}, "deferred": 0},
        {"in": 0, "kept": 0, "rejected": {}, "failed": {}, "deferred": 0},
    ]
    rejected = [row for one in done for row in rows(workspace, one, "rejected")]
    assert [row["reason"] for row in rejected] == ["in_benchmark"] * 3
    assert rejected[1]["detail"].startswith("hash: second: 3.jpg")
    assert workspace.jobs_in_force("mine_pairs") == ["mine_pairs.decontaminate"]


def test_order_of_shards_changes_nothing(annotated, files):
    workspace, manifests = annotated
    _, done = run(workspace, manifests, files, PlainEngine(backwards=True))
    session, again = run(workspace, manifests[::-1], files)
    assert session.worked == {"mine_pairs.decontaminate": 0}
    assert [one.digest for one in again[::-1]] == [one.digest for one in done]


def test_files_and_settings_make_the_keys_and_paths_do_not(annotated, files, tmp_path):
    workspace, manifests = annotated
    run(workspace, manifests, files)
    (tmp_path / "moved").mkdir()
    moved = tuple(str(tmp_path / "moved" / path.rpartition("/")[2]) for path in files)
    for old, new in zip(files, moved, strict=True):
        with open(old, "rb") as source, open(new, "wb") as sink:
            sink.write(source.read())
    assert run(workspace, manifests, moved)[0].worked == {"mine_pairs.decontaminate": 0}
    assert run(workspace, manifests, files, hash_distance=4)[0].worked == {"mine_pairs.decontaminate": 3}
    _, less = run(workspace, manifests, files[1:])
    assert [row["benchmark"] for one in less for row in rows(workspace, one, "matches")] == ["second"]


def test_files_of_another_model_are_refused_before_any_work(annotated, tmp_path):
    workspace, manifests = annotated
    prints = ImagePrints(["a"], sketches=[SKETCHES[:1]])
    prints.hashes.extend(HASHES[0].tolist())
    path = str(tmp_path / "other.parquet")
    write_fingerprints(path, Origin("other", "another@2", FingerprintConfig(), 1000), prints, TextPrints())
    engine = PlainEngine()
    with pytest.raises(ConfigurationError, match="another@2"):
        run(workspace, manifests, (path,), engine)
    assert engine.ran == []


def test_crawls_without_images_have_no_matches(annotated, files):
    workspace, manifests = annotated
    _, done = run(workspace, manifests[2:], files)
    assert [one.files for one in done] == [{}]
