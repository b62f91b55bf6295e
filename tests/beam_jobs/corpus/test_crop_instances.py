"""Crops of detected objects searched among whole images, from files in archives to boxes in the dataset.

The detector is tiny and random: it sees one thing in the middle half of every picture, and there the thing stands that
is shown large in another scene. As a whole the two pictures have nothing to do with each other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import wired_crawl
from made_jobs import KilledError, PlainEngine
from PIL import Image, ImageDraw
from wired_crawl import HOST, OTHER, Pages, annotated_crawl, copied, file_of, names, opened, picture, scene

pytest.importorskip("cv2")
pytest.importorskip("torch")
pytest.importorskip("transformers")

from made_scenes import texture

from beam_jobs.tables import rows
from schemas.errors import ConfigurationError

sys.path.insert(0, str(Path(__file__).parents[2] / "mining" / "models"))

import tiny_models

SMALL = ("square.png", "vase.png")
NEIGHBOURS = 6


def square() -> Image.Image:
    """A thing of an eighth of the width in the middle of a large picture."""
    whole = texture(1440, 1080, 1001)
    shape = Image.new("L", (180, 180), 0)
    ImageDraw.Draw(shape).ellipse((0, 0, 179, 179), fill=255)
    whole.paste(texture(320, 320, 1).resize((180, 180)), (630, 450), shape)
    return whole


def site() -> list[object]:
    made = Pages()
    large = square()
    made.page(
        f"{HOST}/square.html",
        [
            ("/a/square.png", "A square with a vase", file_of(large)),
            ("/a/lamp.png", "A lamp on its own", file_of(scene(7, 7, side=200))),
            # The middle of the square, cut out: no other scene.
            ("/a/cut.png", "The middle of a square", file_of(large.crop((540, 400, 900, 680)))),
        ],
    )
    made.page(
        f"{OTHER}/shop.html",
        [
            ("/b/vase.png", "The vase from nearby", file_of(scene(1, 2, side=300, turn=15))),
            ("/b/stair.png", "A stair", file_of(scene(8, 8, side=190))),
        ],
    )
    made.page(
        f"{OTHER}/more.html",
        [(f"/c/{number}.png", f"View {number}", file_of(opened(picture(number)))) for number in (300, 310, 320)],
    )
    return made.answers


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return str(tiny_models.yolos(tmp_path_factory.mktemp("models") / "yolos"))


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory):
    return annotated_crawl(tmp_path_factory.mktemp("squares"), site(), 3)


@pytest.fixture(scope="module")
def mined_before(looked_at, tmp_path_factory, detector):
    """A run over it, first without and then with crops, and its pairs of both."""
    crawl = copied(looked_at, tmp_path_factory.mktemp("mined") / "out")
    without = mined(crawl)
    assert not crawl.workspace.in_force("mine_pairs.crops")
    found = mined(crawl, detector)
    # What whole images found stands as it was made.
    assert crawl.worked["mine_pairs.instances"] == 0
    return crawl, without, found


@pytest.fixture
def squares(mined_before, tmp_path):
    """A copy of it."""
    return copied(mined_before[0], tmp_path / "out")


def settings(detector=None, search=None, **crops):
    own = {"score_min": 0.1, **crops, "detector": detector} if detector else {}
    return {
        "miners": ["instances"],
        "instances": {"neighbours": NEIGHBOURS, "crops": own},
        "search": {"measured": 20, **(search or {})},
    }


def mined(crawl, *given, backwards=False, **more):
    found = crawl.mine(backwards, **settings(*given, **more))
    return dict(zip(names(found), found, strict=True))


def facts(found):
    columns = ("pair_id", "mining_details", "query_box", "target_box", "hard_negatives")
    return {name: [row[column] for column in columns] for name, row in found.items()}


def test_a_small_thing_is_found_by_its_crop_and_published_with_boxes(squares, mined_before, detector):
    _, without, found = mined_before
    assert SMALL not in without
    assert facts(without).items() <= facts(found).items()
    squares.publish(mine_pairs=settings(detector))
    published = dict(zip(names(squares.published()), squares.published(), strict=True))
    row = published[SMALL]
    assert row["mining"] == "instances"
    assert "matches at scale" in row["mining_details"]
    assert "in the crop of bird (0." in row["mining_details"]
    for box, side in ((row["query_box"], 180 / 1440), (row["target_box"], 300 / 480)):
        x, y, width, height = box
        assert (x + width / 2, y + height / 2) == (pytest.approx(0.5, abs=0.06), pytest.approx(0.5, abs=0.06))
        assert width == pytest.approx(side, rel=0.4)
    assert ("square.png", "cut.png") not in published
    entries = squares.entries()
    assert entries["image"]["kept"] == entries["image"]["in"] == 8
    assert entries["candidate_pair"]["rejected"]["same_picture"] >= 1
    # Crops of all eight images, and each image's own neighbours.
    assert entries["candidate_pair"]["in"] == 2 * 8 * NEIGHBOURS


def test_nothing_is_done_twice(squares, mined_before, detector):
    _, without, found = mined_before
    assert mined(squares, detector) == found
    assert not any(squares.worked.values())
    # What is taken of what was found is no matter of the detector's, nor of the search.
    mined(squares, detector, similarity_min=0.1)
    done = {job for job, count in squares.worked.items() if count and job.startswith("mine_pairs.crop")}
    assert done == {"mine_pairs.crop_instances"}
    assert mined(squares) == without
    assert not squares.workspace.in_force("mine_pairs.crops")


def test_no_order_and_no_part_changes_a_pair(looked_at, mined_before, tmp_path, detector):
    other = copied(looked_at, tmp_path / "out")
    assert facts(mined(other, detector, backwards=True, search={"images_per_part": 1})) == facts(mined_before[2])
    assert other.worked["mine_pairs.crop_search"] == 3 * 3


def test_crops_are_searched_in_the_index_of_whole_images(squares, mined_before, detector):
    search = {"exact_up_to": 0, "recall": 1.0, "images_per_part": 3}
    assert facts(mined(squares, detector, search=search)) == facts(mined_before[2])
    assert squares.worked["mine_pairs.crops"] == 0
    assert squares.worked["mine_pairs.train"] == 1


def test_a_killed_run_goes_on(looked_at, mined_before, detector, monkeypatch, tmp_path):
    crawl = copied(looked_at, tmp_path / "out")
    ran, kills = [], 0

    class Dying(PlainEngine):
        """Dies at the second transform."""

        def run(self, label, transform):
            if self.ran:
                raise KilledError
            super().run(label, transform)
            ran.append(label)

    monkeypatch.setattr(wired_crawl, "PlainEngine", Dying)
    while True:
        try:
            found = mined(crawl, detector)
            break
        except KilledError:
            kills += 1
    assert facts(found) == facts(mined_before[2])
    assert len(ran) == len(set(ran)) > kills > 5
    assert {"mine_pairs.crops", "mine_pairs.crop_search", "mine_pairs.crop_instances"} <= set(ran)


def test_tables_are_sorted_and_name_the_detector(mined_before):
    workspace, seen = mined_before[0].workspace, []
    for one in workspace.manifests("mine_pairs.crops", workspace.in_force("mine_pairs.crops")):
        assert one.notes["detector"] == "yolos (local)"
        own = [(row["image_id"], row["number"]) for row in rows(workspace, one, "crops")]
        assert own == sorted(own)
        seen += own
    assert len(seen) == len(set(seen)) == 8


def test_by_similarity_alone_only_the_query_has_a_box(squares, detector):
    window = {"similarity_min": 0.0, "similarity_max": 0.99}
    squares.publish(mine_pairs=settings(detector, verify="none", **window))
    published = squares.published()
    assert published
    boxed = [row for row in published if "similarity" in row["mining_details"]]
    assert all(row["query_box"] and row["target_box"] is None for row in boxed)
    assert [round(value, 2) for value in boxed[0]["query_box"]] == [0.25, 0.25, 0.5, 0.5]
    # Beside another miner that saw the pair first, the box stays.
    wide = {view: {"min": -1.0, "max": 1.0} for view in ("image", "pattern", "text")}
    more = settings(detector, verify="none", **window) | {
        "miners": ["neighbours", "instances"],
        "neighbours": {"k": NEIGHBOURS, **wide},
    }
    both = [row for row in squares.mine(**more) if row["mining"] == "neighbours+instances"]
    assert any(row["query_box"] and row["target_box"] is None for row in both)


def test_where_nothing_is_sure_enough_nothing_is_found(squares, mined_before, detector):
    assert facts(mined(squares, detector, score_min=0.99)) == facts(mined_before[1])


@pytest.mark.parametrize("kind", ["gone", "clip"])
def test_what_is_no_detector_says_so_in_one_sentence(squares, tmp_path, kind):
    folder = tiny_models.clip(tmp_path / "clip") if kind == "clip" else tmp_path / "gone"
    folder.mkdir(exist_ok=True)
    with pytest.raises(ConfigurationError, match="cannot load AutoModelForObjectDetection") as caught:
        mined(squares, str(folder))
    assert str(caught.value).count("\n") == 0
