"""TU-Berlin: the envelope or not, precision at 100 in two readings."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.benchmarks import BENCHMARKS
from schemas.errors import ConfigurationError

SKETCHES = {"png_ready/hot air balloon/1.png": 0, "png_ready/ant/2.png": 1}
PHOTOS = {f"ImageResized_ready/p {number}.JPEG": int(number >= 4) for number in range(250)}
BALLOON, ANT = SKETCHES


@pytest.fixture
def folder(tmp_path, write):
    return write(
        tmp_path,
        {
            "png_ready_filelist_zero.txt": "".join(f"{one} {label}\n" for one, label in SKETCHES.items()),
            "ImageResized_ready_filelist_zero.txt": "".join(f"{one} {label}\n" for one, label in PHOTOS.items()),
        },
    )


def _ranked(*numbers):
    names = list(PHOTOS)
    return {names[number]: 1 - place / 300 for place, number in enumerate(numbers)}


def test_by_hand(folder, by_scores, score):
    """The four balloons stand at 2, 3, 4 and 230; the ants fill everything before and are all right for the ant."""
    balloon = _ranked(10, 0, 1, 2, *range(11, 236), 3)
    ant = _ranked(*range(4, 250))
    embeddings = by_scores({BALLOON: balloon, ANT: ant}, list(PHOTOS))
    plain, voc = (score("tuberlin", folder, embeddings, one) for one in ("plain", "voc"))
    own = [1 / 2, 2 / 3, 3 / 4, 4 / 230]
    assert plain.metrics["mAP@all"] == pytest.approx(100 * (sum(own) / 4 + 1) / 2)
    assert voc.metrics["mAP@all"] == pytest.approx(100 * ((3 * 3 / 4 + 4 / 230) / 4 + 1) / 2), "the envelope"
    assert plain.metrics["mAP@200"] == pytest.approx(100 * (sum(own[:3]) / 4 + 1) / 2), "by min(200, 4)"
    assert voc.metrics["mAP@200"] == pytest.approx(100 * (3 * 3 / 4 / 4 + 1) / 2)
    for found in (plain, voc):
        assert found.metrics["P@100"] == pytest.approx(100 * (3 / 100 + 1) / 2)
        assert found.metrics["P@100/min_positives"] == pytest.approx(100 * (3 / 4 + 1) / 2), "three of the first four"
        assert set(found.metrics) == {"mAP@all", "mAP@200", "P@100", "P@100/min_positives"}
    assert voc.protocol == "voc"


def test_against_the_definition(folder, random_embeddings, order, score):
    task = BENCHMARKS["tuberlin"].load(folder, "voc", "zero", None)
    embeddings = random_embeddings(task, seed=5)
    expected = []
    for sketch, label in SKETCHES.items():
        ranking = order(embeddings, sketch, list(PHOTOS))
        flags = np.array([PHOTOS[one] == label for one in ranking])
        precision = np.cumsum(flags) / np.arange(1, 251)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        expected.append(envelope[flags].mean())
    assert score("tuberlin", folder, embeddings).metrics["mAP@all"] == pytest.approx(100 * np.mean(expected))


@pytest.mark.parametrize(
    ("line", "message"),
    [("no label", "is not `PATH LABEL`"), ("png_ready/x.png 7", "have no photo"), (f"{ANT} 1", "more than once")],
)
def test_broken_lists_are_named(folder, line, message):
    path = folder / "png_ready_filelist_zero.txt"
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ConfigurationError, match=message):
        BENCHMARKS["tuberlin"].load(folder, "voc", "zero", None)
