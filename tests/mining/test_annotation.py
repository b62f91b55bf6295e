"""Annotation of made and broken images, with the real models of the preset local and tiny ones of transformers."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made_images import animation, encoded, picture, png_bomb
from PIL import Image, PngImagePlugin

pytest.importorskip("onnxruntime")

from mining.annotation import AnnotateConfig, AnnotationModels, annotate, embed_texts, load_models
from mining.places import ImageFacts
from mining.similarity import cosines, sketch_matrix
from mining.sketches import sketches
from schemas.ids import image_id, text_id
from schemas.outcomes import CollectedOutcomes
from schemas.settings import deciding_fields
from schemas.tables import TABLES

CONFIG = AnnotateConfig(batch=4, max_pixels=10_000_000)


@pytest.fixture(scope="module")
def models() -> AnnotationModels:
    return load_models(CONFIG)


def named(*files: bytes) -> list[tuple[str, str, bytes]]:
    return [(image_id(data), f"http://example.org/{number}", data) for number, data in enumerate(files)]


def run(
    images: list[tuple[str, str, bytes]],
    models: AnnotationModels,
    config: AnnotateConfig = CONFIG,
    quarantine: dict[str, str] | None = None,
) -> tuple[CollectedOutcomes, list[str]]:
    outcomes, marks = CollectedOutcomes(), []
    annotate(iter(images), config, models, outcomes, mark=marks.append, quarantine=quarantine or {})
    assert outcomes.counts.unbalanced() == []
    return outcomes, marks


def good(count: int) -> list[bytes]:
    return [encoded(picture(120 + 10 * seed, 100, seed), "JPEG" if seed % 2 else "PNG") for seed in range(count)]


def test_rows_hold_what_pairing_reads_and_fit_their_table(models: AnnotationModels) -> None:
    outcomes, _ = run(named(*good(5), animation("GIF")), models)
    rows = outcomes.rows("annotations")
    table = pa.Table.from_pylist(rows, schema=TABLES["annotations"].schema)
    assert table.num_rows == outcomes.counts.entry("image").kept == 6
    facts = [ImageFacts.from_row(row) for row in table.to_pylist()]
    assert [(one.width, one.height, one.format, one.animated) for one in facts[4:]] == [
        (160, 100, "PNG", False),
        (80, 60, "GIF", True),
    ]
    assert all(0 <= one.nsfw <= 1 and one.label and one.label_score > 0 and len(one.sketch) <= 480 for one in facts)
    features = np.array(table["features"].to_pylist(), np.float64)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    matrix = sketch_matrix([one.sketch for one in facts])
    assert np.abs(cosines(matrix, matrix) - features @ features.T).max() < 0.1
    assert set(table["models"].to_pylist()) == {models.names}
    assert "efficientnet-lite0" in models.names
    assert {row[name] for row in rows for name in ("caption", "pattern_sketch", "caption_sketch")} == {None}


def test_rows_do_not_depend_on_batch_or_order_or_threads(models: AnnotationModels) -> None:
    images = named(*good(7))
    expected = {row["image_id"]: row for row in run(images, models)[0].rows("annotations")}
    for config in (CONFIG.model_copy(update={"batch": 1}), CONFIG.model_copy(update={"batch": 5, "threads": 2})):
        rows = run(images[::-1], load_models(config), config)[0].rows("annotations")
        assert [row["image_id"] for row in rows] == [one[0] for one in images[::-1]]
        for row in rows:
            other = expected[row["image_id"]]
            assert np.array_equal(row.pop("features"), other["features"])
            assert row == {name: value for name, value in other.items() if name != "features"}


def test_broken_images_are_rejected_with_their_reason(models: AnnotationModels) -> None:
    cut = encoded(picture(seed=1), "JPEG")[:-200]
    broken = bytearray(encoded(picture(seed=2), "PNG"))
    broken[60:70] = bytes(10)
    files = [b"<html>", png_bomb(4000), cut, bytes(broken), *good(2), encoded(Image.new("RGB", (1, 1)), "PNG")]
    outcomes, _ = run(named(*files), models)
    entry = outcomes.counts.entry("image")
    assert (entry.entered, entry.kept) == (7, 3)
    assert entry.rejected == {"not_an_image": 1, "too_many_pixels": 1, "truncated": 1, "undecodable": 1}
    assert {row["id"] for row in outcomes.rows("rejected")} == {image_id(data) for data in files[:4]}
    assert all(row["url"].startswith("http://example.org/") for row in outcomes.rows("rejected"))


def test_a_quarantined_image_fails_and_is_never_touched(models: AnnotationModels) -> None:
    images = named(*good(3))
    bad = images[1][0]
    outcomes, marks = run(images, models, quarantine={bad: "crashed_sigsegv"})
    assert outcomes.counts.entry("image").failed == {"crashed_sigsegv": 1}
    assert [row["reason"] for row in outcomes.rows("rejected")] == ["error:crashed_sigsegv"]
    assert bad not in marks
    assert [row["image_id"] for row in outcomes.rows("annotations")] == [images[0][0], images[2][0]]


def test_images_are_marked_before_they_are_read_and_models_under_no_name(models: AnnotationModels) -> None:
    images, events = named(*good(5)), []

    def source() -> Iterator[tuple[str, str, bytes]]:
        for one in images:
            events.append("given")
            yield one

    annotate(source(), CONFIG, models, CollectedOutcomes(), mark=events.append, quarantine={})
    first = [event for one in images[:4] for event in ("given", one[0])]
    assert events == [*first, "", "given", images[4][0], ""]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals")
@pytest.mark.timeout(120)
def test_an_image_whose_decoder_dies_or_hangs_costs_itself_alone(tmp_path: Path) -> None:
    """Through the supervised child that runs annotation, with a decoder that falls over two of the images."""
    from beam_jobs.supervised import SupervisedChild

    sys.path.insert(0, str(Path(__file__).parent))
    child = SupervisedChild(deaths=2, seconds_a_record=2.0)
    try:
        kept, failed = child.call("deadly_decoding:annotate_in_child", named(*good(4), b"DIE", b"HANG"))
    finally:
        child.close()
        sys.path.remove(str(Path(__file__).parent))
    assert kept == 4
    assert failed == {"crashed_sigsegv": 1, "timed_out": 1}


def test_nothing_at_all(models: AnnotationModels) -> None:
    outcomes, _ = run([], models)
    assert outcomes.tables == {}
    embed_texts([], CONFIG, models, outcomes)
    assert outcomes.tables == {}


def test_what_files_say_of_their_making_and_what_a_detector_thinks(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    sys.path.insert(0, str(Path(__file__).parent / "models"))
    import tiny_models

    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7")
    images = named(*good(2), encoded(picture(seed=9), "PNG", pnginfo=info))
    rows = run(images, load_models(CONFIG))[0].rows("annotations")
    assert [(row["generated"], row["generated_score"]) for row in rows] == [
        (None, None),
        (None, None),
        ("png:parameters", None),
    ]
    clip = str(tiny_models.clip(tmp_path / "clip"))
    for crop in (False, True):
        detector = str(tiny_models.vit(tmp_path / f"vit-{crop}", crop=crop))
        config = AnnotateConfig(
            image_model=clip, text_model=clip, safety_model=None, generated_model=detector, generated_label="artificial"
        )
        rows = run(images, load_models(config), config)[0].rows("annotations")
        table = pa.Table.from_pylist(rows, schema=TABLES["annotations"].schema)
        assert table["generated"].to_pylist() == [None, None, "png:parameters"]
        assert all(0 < score < 1 for score in table["generated_score"].to_pylist())
        assert rows[0]["models"] == f"clip (local); vit-{crop} (local)"


def test_texts_are_embedded_in_their_order(models: AnnotationModels) -> None:
    texts = [f"a cat number {number}" for number in range(9)]
    outcomes = CollectedOutcomes()
    embed_texts(iter(texts), CONFIG, models, outcomes)
    table = pa.Table.from_pylist(outcomes.rows("texts"), schema=TABLES["texts"].schema)
    assert table["text"].to_pylist() == texts
    assert table["text_id"].to_pylist() == [text_id(text) for text in texts]
    assert np.allclose(np.linalg.norm(np.array(table["embedding"].to_pylist(), np.float64), axis=1), 1, atol=2e-3)
    assert (outcomes.counts.entry("text").entered, outcomes.counts.entry("text").kept) == (9, 9)


def test_a_process_loads_models_once() -> None:
    config, found = CONFIG.model_copy(update={"batch": 3}), []
    threads = [threading.Thread(target=lambda: found.append(load_models(config))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(one is found[0] for one in found)


def test_only_what_changes_rows_decides() -> None:
    assert "threads" not in deciding_fields(AnnotateConfig())
    assert {"image_model", "text_model", "safety_model", "caption_model", "max_pixels", "batch"} <= set(
        deciding_fields(AnnotateConfig())
    )


def test_the_preset_hub_gives_captions_and_no_labels(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    sys.path.insert(0, str(Path(__file__).parent / "models"))
    import tiny_models

    clip, blip = str(tiny_models.clip(tmp_path / "clip")), str(tiny_models.blip(tmp_path / "blip"))
    config = AnnotateConfig(image_model=clip, text_model=clip, safety_model=None, caption_model=blip, batch=2)
    images = named(*good(3))
    outcomes, marks = run(images, load_models(config), config)
    rows = outcomes.rows("annotations")
    assert [(row["label"], row["label_score"], row["nsfw"]) for row in rows] == [(None, None, None)] * 3
    assert all(row["caption"] for row in rows)
    assert [len(row["sketch"]) for row in rows] == [24] * 3
    assert pa.Table.from_pylist(rows, schema=TABLES["annotations"].schema).num_rows == 3
    assert rows[0]["models"] == "clip (local); blip (local)"
    # One mark for each image, for each batch and for each caption, so that a slow captioner is not taken for stuck.
    assert len(marks) == 3 + 2 + 3
    embed_texts(["a cat"], config, load_models(config), outcomes)
    assert len(outcomes.rows("texts")[0]["embedding"]) == 24
    texts = load_models(config).texts
    assert [row["caption_sketch"] for row in rows] == [
        sketches(texts.encode([row["caption"]]))[0].tobytes() for row in rows
    ]


def test_a_vision_model_gives_patterns_whatever_the_order(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    sys.path.insert(0, str(Path(__file__).parent / "models"))
    import tiny_models

    clip, dinov2 = str(tiny_models.clip(tmp_path / "clip")), str(tiny_models.dinov2(tmp_path / "dinov2"))
    config = AnnotateConfig(image_model=clip, text_model=clip, safety_model=None, pattern_model=dinov2, batch=3)
    images = named(*good(4))
    rows = run(images, load_models(config), config)[0].rows("annotations")
    assert pa.Table.from_pylist(rows, schema=TABLES["annotations"].schema).num_rows == 4
    assert [len(row["pattern_sketch"]) for row in rows] == [32] * 4
    assert len({row["pattern_sketch"] for row in rows}) == 4
    assert {(row["caption"], row["caption_sketch"], row["models"]) for row in rows} == {
        (None, None, "clip (local); dinov2 (local)")
    }
    again = run(images[::-1], load_models(config), config)[0].rows("annotations")
    assert [row["pattern_sketch"] for row in again] == [row["pattern_sketch"] for row in rows[::-1]]
    assert "pattern_model" in deciding_fields(config)
    assert "pattern_model" not in deciding_fields(AnnotateConfig())
