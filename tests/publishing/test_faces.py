"""Faces in published images, with a photograph that matplotlib's package holds (Grace Hopper, in the public domain)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("cv2")

from publishing.config import PublishConfig
from publishing.dataset_reader import rows
from publishing.description import read_description
from publishing.faces import blur_file, blurred, faces_in, load_face_finder, publishing_fetch
from publishing.take_down import take_down, tombstones_of
from schemas import ids
from schemas.errors import ConfigurationError
from schemas.image_files import BrokenImageError


@pytest.fixture(scope="module")
def finder():
    return load_face_finder("haar")


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    matplotlib = pytest.importorskip("matplotlib")
    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as image:
        return image.convert("RGB").resize((256, 300))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def difference(one: Image.Image, other: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean(axis=2)


def test_the_face_is_found_and_nothing_else(finder, photo) -> None:
    (box,) = faces_in(photo, finder)
    assert box[0] < 130 < box[2]
    assert box[1] < 110 < box[3]
    assert box[2] - box[0] < 160
    assert faces_in(Image.new("RGB", (300, 200), "white"), finder) == []
    assert faces_in(Image.new("RGB", (2000, 10)), finder) == []
    for height in (300, 120, 75):
        page = Image.new("RGB", (768, 576), (200, 210, 220))
        page.paste(photo.resize((height * 256 // 300, height)), (100, 20))
        assert len(faces_in(page, finder)) == 1
    large = faces_in(photo.resize((2560, 3000)), finder)
    assert np.allclose(np.array(large[0]) / 10, box, atol=12)


def test_what_is_blurred_is_the_face_alone_and_for_good(finder, photo) -> None:
    (box,) = faces_in(photo, finder)
    result = blurred(photo, [box])
    changed = difference(result, photo)
    inside = changed[box[1] + 20 : box[3] - 20, box[0] + 20 : box[2] - 20]
    assert inside.mean() > 8
    assert changed[:, :10].max() == changed[260:].max() == 0
    assert faces_in(result, finder) == []
    assert blurred(photo, []).tobytes() == photo.tobytes()
    corner = blurred(photo, [(-5, -5, 20, 20), (240, 290, 300, 400)])
    assert corner.size == photo.size


@pytest.mark.parametrize(
    ("kind", "becomes"),
    [
        ("JPEG", "JPEG"),
        ("PNG", "PNG"),
        ("WEBP", "WEBP"),
        ("GIF", "PNG"),
        ("BMP", "PNG"),
        ("TIFF", "PNG"),
        ("AVIF", "JPEG"),
    ],
)
def test_files_keep_their_format_or_get_a_plain_one(finder, photo, kind: str, becomes: str) -> None:
    data = encoded(photo, kind)
    once, twice = blur_file(data, finder), blur_file(data, finder)
    assert once is not None
    assert once == twice
    assert opened(once).format == becomes
    assert opened(once).size == photo.size
    assert faces_in(opened(once).convert("RGB"), finder) == []


def test_a_file_without_a_face_is_left_as_it_is(finder) -> None:
    assert blur_file(encoded(Image.effect_mandelbrot((300, 200), (-2, -1, 1, 1), 40), "PNG"), finder) is None
    with pytest.raises(BrokenImageError):
        blur_file(b"no image", finder)


def test_turned_photographs_are_searched_as_people_see_them_and_lose_their_metadata(finder, photo) -> None:
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010E: "who this is"})
    changed = blur_file(encoded(photo.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif), finder)
    assert changed is not None
    assert opened(changed).size == photo.size
    assert dict(opened(changed).getexif()) == {}
    assert b"who this is" not in changed


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_with_a_face_in_a_later_frame_becomes_its_first_frame(finder, photo, kind: str) -> None:
    plain = [Image.new("RGB", photo.size, colour) for colour in ("white", "navy", "olive")]
    with_face = encoded(plain[0], kind, save_all=True, append_images=[plain[1], photo, plain[2]], duration=50)
    without = encoded(plain[0], kind, save_all=True, append_images=plain[1:], duration=50)
    changed = blur_file(with_face, finder)
    assert changed is not None
    assert getattr(opened(changed), "n_frames", 1) == 1
    assert difference(opened(changed).convert("RGB"), plain[0]).max() < 3
    assert blur_file(without, finder) is None
    shades = [Image.new("L", (40, 40), 5 * number) for number in range(40)]
    long = blur_file(encoded(shades[0], kind, save_all=True, append_images=shades[1:], duration=50), finder)
    assert long is not None
    assert getattr(opened(long), "n_frames", 1) == 1


def test_a_fetch_blurs_and_passes_on_what_it_cannot_open(photo) -> None:
    files = {"a": encoded(photo, "JPEG"), "b": encoded(Image.new("RGB", (80, 80)), "PNG"), "c": b"broken"}

    def fetch(names):
        return {name: files[name] for name in names}

    assert publishing_fetch(fetch, "none") is fetch
    blurring = publishing_fetch(fetch, "haar")
    for _ in range(2):
        found = blurring(["a", "b", "c"])
        assert {name for name in files if found[name] != files[name]} == {"a"}


def test_a_published_dataset_says_which_images_were_blurred(tmp_path, corpus, publish_corpus, photo, finder) -> None:
    from schemas.storage import Folder

    # A face takes the place of one image, everywhere.
    old = corpus.rows[0]["query_image_id"]
    data = encoded(photo, "JPEG")
    new = ids.image_id(data)
    corpus.images[new], corpus.urls[new] = data, corpus.urls[old]
    for row in corpus.rows:
        for name in ("query_image_id", "target_image_id"):
            row[name] = new if row[name] == old else row[name]
        row["hard_negatives"] = [new if one == old else one for one in row["hard_negatives"]]
    target = Folder(str(tmp_path / "dataset"))
    config = PublishConfig(blur_faces="haar", shares={"train": 0.5, "validation": 0.25, "test": 0.25})
    about = publish_corpus(corpus, target, config)
    assert about.blurred == 1
    assert read_description(target).blurred == 1
    images = {row["image_id"]: row for row in rows(target, about, "images")}
    assert [name for name, row in images.items() if row["blurred"]] == [new]
    for name, row in images.items():
        assert (ids.image_id(row["image"]["bytes"]) == name) != row["blurred"]
        assert row["image"]["path"].startswith(name)
    shown = {row["query_image_id"]: row["query_image"]["bytes"] for row in rows(target, about, "triplets")}
    assert shown[new] == images[new]["image"]["bytes"] == blur_file(data, finder)
    card = (tmp_path / "dataset" / "README.md").read_text()
    assert f"in 1 of {about.images} images" in " ".join(card.split())
    assert "Haar cascades" in card
    take_down(target, tombstones_of([corpus.rows[-1]["target_image_id"]]))
    assert read_description(target).blurred == 1
    take_down(target, tombstones_of([new]))
    assert read_description(target).blurred == 0


def test_a_dataset_is_published_with_its_original_files_by_default(dataset, tmp_path) -> None:
    about = read_description(dataset)
    assert about.blurred == 0
    assert {row["blurred"] for row in rows(dataset, about, "images", columns=("blurred",))} == {False}
    card = (tmp_path / "dataset" / "README.md").read_text()
    assert "Faces in images were not blurred" in card
    assert "`people_words` is off" in card


def test_the_card_says_which_words_were_dropped(dataset) -> None:
    from dataclasses import replace

    from publishing.card import render_card

    about = read_description(dataset)
    card = render_card(replace(about, facts=about.facts.model_copy(update={"people_words": ("skin", "race")})))
    assert "words about people's skin, race were dropped" in card


def test_wrong_detectors_are_told(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="where no file is"):
        load_face_finder(str(tmp_path / "missing.onnx"))
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"no model")
    with pytest.raises(ConfigurationError, match="cannot read as YuNet"):
        load_face_finder(str(wrong))
