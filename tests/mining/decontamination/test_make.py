import io
import json

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from mining.annotation import AnnotateConfig, annotate, load_models
from mining.decontamination.config import DecontaminationConfig, FingerprintConfig
from mining.decontamination.file_format import image_model_of
from mining.decontamination.fingerprints import Fingerprints
from mining.decontamination.make import benchmark_files, make_fingerprints
from schemas.errors import ConfigurationError
from schemas.outcomes import CollectedOutcomes
from schemas.storage import Folder

CONFIG = AnnotateConfig(safety_model=None, max_pixels=100_000)


def picture(seed, size=(240, 180)):
    """A coarse pattern with finer ones on it: no two alike."""
    rng = np.random.default_rng(seed)
    whole = np.zeros((size[1], size[0], 3))
    for side, part in ((3, 0.5), (9, 0.3), (40, 0.2)):
        small = Image.fromarray(rng.integers(0, 256, (side, side + 1, 3), dtype=np.uint8))
        whole += part * np.asarray(small.resize(size, Image.Resampling.BICUBIC), float)
    return Image.fromarray(whole.astype(np.uint8))


def drawn(shade):
    """Another kind of picture: a disc and a bar. To a model of photographs all patterns of noise are alike."""
    image = Image.new("RGB", (200, 200), (250 - shade, 240, 200))
    draw = ImageDraw.Draw(image)
    draw.ellipse((20 + shade, 30, 110 + shade, 120), fill=(shade, 60, 160))
    draw.rectangle((40, 140 - shade // 2, 190, 170), fill=(20, 20 + shade, 20))
    return image


def file(image, kind="PNG", **options):
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


@pytest.fixture(scope="module")
def encoder():
    return load_models(CONFIG).images


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "Bench"
    (place / "dev").mkdir(parents=True)
    for number in range(4):
        (place / "dev" / f"{number}.png").write_bytes(file(picture(number)))
    (place / "no-end").write_bytes(file(picture(4), "JPEG"))
    (place / "cap.json").write_text(
        json.dumps([{"caption": "has a longer tail and looks to the left of us", "id": "x"}])
    )
    return place


def make(folder, output, encoder, **settings):
    told = []
    config = FingerprintConfig(**settings)
    info = make_fingerprints(
        Folder(str(folder)), str(output), "Bench", encoder, config, CONFIG, lambda *what: told.append(what)
    )
    return info, told


def matches(output, images):
    """What annotated images match."""
    outcomes = CollectedOutcomes()
    rows = ((str(number), "", data) for number, data in enumerate(images))
    annotate(rows, CONFIG, load_models(CONFIG), outcomes, mark=lambda key: None, quarantine={})
    annotated = outcomes.rows("annotations")
    model = image_model_of(annotated[0]["models"])
    fingerprints = Fingerprints.open(DecontaminationConfig(files=(str(output),)), model)
    hashes = np.array([int(row["phash"], 16) for row in annotated], np.uint64)
    return fingerprints.match_images(hashes, [row["sketch"] for row in annotated])


def test_copies_are_found_and_others_are_not(folder, tmp_path, encoder):
    output = tmp_path / "bench.parquet"
    make(folder, output, encoder)
    one = picture(2)
    copies = [
        file(one),
        file(one.resize((120, 90)), "JPEG", quality=60),
        file(one.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        file(one.crop((12, 9, 228, 171))),
        file(ImageEnhance.Contrast(one).enhance(1.3)),
        file(one.convert("L")),
    ]
    found = matches(output, [*copies, file(picture(4)), file(drawn(0)), file(drawn(60))])
    assert [match.image for match in found[:-2]] == ["dev/2.png"] * len(copies) + ["no-end"]
    assert (found[0].how, found[0].distance, found[0].similarity) == ("hash", 0, 1.0)
    assert found[-2:] == [None, None]


def test_broken_and_flat_images_are_counted_with_their_reasons(folder, tmp_path, encoder):
    data = file(picture(5))
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    (folder / "text.jpg").write_text("no image")
    (folder / "flat.png").write_bytes(file(Image.new("RGB", (100, 100), "white")))
    (folder / "huge.png").write_bytes(file(Image.new("RGB", (400, 400))))
    (folder / "drawing.jpg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "bad.json").write_text("{")
    (folder / "bad.txt").write_bytes(b"\xff\xff")
    (folder / "short.txt").write_text("only five words in here\n")
    (folder / ".hidden.png").write_bytes(data)
    (folder / "archive.zip").write_bytes(b"PK")
    info, told = make(folder, tmp_path / "bench.parquet", encoder)
    assert info.images == 5
    assert info.left_out == {"flat": 1, "not_an_image": 1, "too_many_pixels": 1, "truncated": 1, "vector_image": 1}
    assert info.unreadable == {"not_json": 1, "not_utf8": 1}
    assert (info.texts, info.short_texts, info.grams) == (1, 1, 4)
    assert told[0] == ("images", 1, 10)
    assert told[-1] == ("files of texts", 4, 4)


def test_equal_folders_give_equal_bytes(folder, tmp_path, encoder):
    for name in ("a", "b"):
        make(folder, tmp_path / name, encoder)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    make(folder, tmp_path / "c", encoder, words=5)
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


def test_a_folder_of_texts_alone_will_do_and_an_empty_one_will_not(folder, tmp_path, encoder):
    texts = tmp_path / "texts"
    texts.mkdir()
    with pytest.raises(ConfigurationError, match="no images and no texts"):
        benchmark_files(Folder(str(texts)))
    (texts / "short.txt").write_text("only five words in here\n")
    with pytest.raises(ConfigurationError, match=r"images left out: none; texts of fewer than 8 words: 1"):
        make(texts, tmp_path / "t", encoder)
    assert not (tmp_path / "t").exists()
    (texts / "cap.json").write_bytes((folder / "cap.json").read_bytes())
    info, _ = make(texts, tmp_path / "t", encoder)
    assert (info.images, info.texts) == (0, 1)
    fingerprints = Fingerprints.open(DecontaminationConfig(files=(str(tmp_path / "t"),)))
    assert fingerprints.match_text("It has a longer tail and looks to the left.") == "Bench"
