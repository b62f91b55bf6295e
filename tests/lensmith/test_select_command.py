"""The command `select` on a small dataset, with the models of packages."""

import json
import sys
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from beam_jobs.shard_writer import ShardWriter
from beam_jobs.workspace import Workspace
from lensmith.output_folder import open_output
from mining.sketches import sketches
from schemas.storage import Folder
from training.data.triplet_ids import ids_of

from .called import lensmith


def _corpus():
    """The dataset of publishing's tests."""
    path = Path(__file__).parents[1] / "publishing" / "conftest.py"
    if "publishing_corpus" not in sys.modules:
        spec = util.spec_from_file_location("publishing_corpus", path)
        module = util.module_from_spec(spec)
        sys.modules["publishing_corpus"] = module
        spec.loader.exec_module(module)
    return sys.modules["publishing_corpus"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    target = tmp_path_factory.mktemp("published") / "dataset"
    _corpus().publish(_corpus().build_corpus(), Folder(str(target)))
    return target


def select(*arguments):
    return lensmith("select", *arguments)


def told(folder):
    return json.loads((folder / "selection.json").read_text())


def test_by_quality_beside_the_dataset(dataset):
    code, said = select(dataset, "--size", 9, "--by", "quality")
    assert code == 0, said
    target = dataset.with_name("dataset-quality-9")
    assert f"{target}/selection.html" in said
    assert "mean quality" in said
    assert told(target)["selection"]["features"] is None
    code, said = select(dataset, "--size", 9, "--by", "quality")
    assert code == 2
    assert "is not empty" in said


@pytest.mark.parametrize("features", ["images", "texts"])
def test_diversity_by_models_of_packages(dataset, tmp_path, features):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        code, said = select(
            dataset, "--size", 10, "--by", "mix", "--features", features, "--share", 0.2, "--output", folder
        )
        assert code == 0, said
    assert "clusters with a triplet" in said
    found = told(folders[0])
    assert found["selection"]["features"] == features
    assert found["report"]["by_quality"] == 2
    for file in folders[0].rglob("*.*"):
        assert file.read_bytes() == (folders[1] / file.relative_to(folders[0])).read_bytes()


def test_features_of_ones_own_and_settings_from_a_file(dataset, tmp_path):
    corpus = _corpus().build_corpus()
    ids = sorted(corpus.images)
    vectors = np.random.default_rng(0).standard_normal((len(ids), 24)).astype(np.float32)
    np.savez(tmp_path / "own.npz", gallery_ids=np.array(ids), gallery_embeddings=vectors)
    (tmp_path / "own.yaml").write_text("clusters: 4\ncaps: {host: 0.4}\ncover: {verdict: 1.0}\n")
    arguments = ("--size", 10, "--by", "diversity", "--features", tmp_path / "own.npz")
    code, said = select(dataset, *arguments, "--config", tmp_path / "own.yaml", "--output", tmp_path / "out")
    assert code == 0, said
    found = told(tmp_path / "out")
    assert found["report"]["clusters"]["count"] <= 4
    hosts = [one["chosen"] for one in found["report"]["columns"]["host"]["top"]]
    assert sum(hosts) == 10
    assert max(hosts) <= 4
    # Fewer vectors than images.
    np.savez(tmp_path / "own.npz", gallery_ids=np.array(ids[:5]), gallery_embeddings=vectors[:5])
    code, said = select(dataset, *arguments, "--output", tmp_path / "more")
    assert code == 2
    assert "no features of the image" in said


def test_a_dataset_in_its_run_takes_the_annotation_s_sketches(tmp_path):
    corpus, out = _corpus().build_corpus(), tmp_path / "out"
    workspace = Workspace(str(out))
    open_output(workspace, 1 << 20, 2)
    _corpus().publish(corpus, Folder(str(out / "dataset")))
    ids = sorted(corpus.images)
    made = sketches(np.random.default_rng(0).standard_normal((len(ids), 24)).astype(np.float32))

    def annotate(count):
        key = f"{count:032x}"
        writer = ShardWriter(workspace, "annotate_images", key)
        for image_id, sketch in list(zip(ids, made, strict=True))[:count]:
            size = {"width": 96, "height": 64, "format": "PNG", "animated": False}
            facts = {"phash": "0" * 16, "flatness": 0.0, "sketch": sketch.tobytes(), "models": "m"}
            writer.row("annotations", {"image_id": image_id, **size, **facts})
        writer.commit()
        workspace.set_in_force("annotate_images", [key], key)

    annotate(len(ids))
    np.savez(tmp_path / "own.npz", gallery_ids=np.array(ids), gallery_embeddings=made)
    chosen = {}
    for name in ("images", tmp_path / "own.npz"):
        target = tmp_path / f"by-{Path(name).stem}"
        code, said = select(out / "dataset", "--size", 8, "--by", "diversity", "--features", name, "--output", target)
        assert code == 0, said
        chosen[target.name] = ids_of(target, "train")
    assert chosen["by-images"] == chosen["by-own"]
    # Where the annotation lacks an image, the model looks at all of them.
    annotate(len(ids) // 2)
    code, said = select(out / "dataset", "--size", 8, "--by", "diversity", "--output", tmp_path / "model")
    assert code == 0, said
    assert ids_of(tmp_path / "model", "train") != chosen["by-images"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--size", 500, "--by", "quality"), "give at most as many"),
        (("--size", 0, "--by", "quality"), "size: Input should be greater"),
        (("--size", 5, "--by", "luck"), "'diversity', 'quality' or 'mix'"),
        (("--size", 5, "--by", "mix", "--share", 2), "share: "),
        (("--size", 5, "--by", "mix", "--features", "smell"), "--features is 'smell'"),
        (("--size", 5, "--by", "mix", "--features", "{dataset}/lensmith.json"), "give images, texts, none, or an .npz"),
        (("--size", 5, "--by", "mix", "--config", "{dataset}/none.yaml"), "cannot read the configuration"),
    ],
)
def test_wrong_usage_is_said_and_leaves_nothing(dataset, tmp_path, arguments, words):
    given = [str(one).format(dataset=dataset) for one in arguments]
    code, said = select(dataset, *given, "--output", tmp_path / "out")
    assert code == 2
    assert words in said
    assert not (tmp_path / "out").exists()
