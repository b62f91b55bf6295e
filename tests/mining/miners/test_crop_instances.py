"""Pairs by the crops of objects: what a crop finds is verified in the crop, and told in the whole picture."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("cv2")
sys.path.insert(0, str(Path(__file__).parent.parent))

from made_images import encoded
from made_scenes import centre_of, near, scene, texture

from mining.instances_config import InstancesConfig
from mining.local_features import Features, LocalFeaturesConfig, local_features
from mining.matched_regions import of_whole, within
from mining.miners.crop_instances import Crop, CropFeatures, CropInstances, Cut, judged_crop
from mining.miners.instances import FileFeatures, Instance, judged
from mining.miners.interface import Found, Neighbours
from mining.object_crops import Box, ObjectCropsConfig, crop
from schemas.outcomes import CollectedOutcomes

CONFIG = InstancesConfig()
#: Around the thing of `SMALL`, 80 of 480 x 360 pixels, whose wall has most of the points.
BOX: Box = (0.2, 0.2, 0.2, 0.2667)
SMALL, CLOSE = scene(1, 1, (0.3, 0.3333), side=90), scene(1, 2, (0.55, 0.5), side=300, turn=20)


def features(picture: Image.Image) -> Features:
    return local_features(picture, LocalFeaturesConfig())


def cut(picture: Image.Image, box: Box) -> Cut:
    return Cut(features(crop(picture, box)), box)


def test_a_small_thing_is_found_in_its_close_up_by_its_crop() -> None:
    whole, close = features(SMALL), features(CLOSE)
    found = judged_crop(whole, cut(SMALL, BOX), close, CONFIG)
    assert isinstance(found, Instance)
    # Told in the whole picture.
    assert near(centre_of(found.first_box), (0.3, 0.3333), 0.05)
    assert near(centre_of(found.second_box), (0.55, 0.5), 0.08)
    x, y, width, height = found.first_box
    assert min(x, y) >= 0.2
    assert (x + width, y + height) <= (0.4001, 0.4668)
    assert found.scale == pytest.approx(300 / 90, rel=0.1)
    assert judged_crop(whole, cut(SMALL, (0.6, 0.6, 0.3, 0.3)), close, CONFIG) == "few_matches_agree"


def test_a_crop_keeps_the_pixels_that_the_whole_picture_loses() -> None:
    large = texture(1440, 1080, 1001)
    shape = Image.new("L", (200, 200), 0)
    ImageDraw.Draw(shape).ellipse((0, 0, 199, 199), fill=255)
    large.paste(texture(320, 320, 1).resize((200, 200)), (300, 250), shape)
    box = (300 / 1440, 250 / 1080, 200 / 1440, 200 / 1080)
    whole, close = features(large), features(CLOSE)
    # Shrunk to 480 pixels it is five times smaller than in its close-up, and has few points.
    assert judged(whole, close, CONFIG) == "few_matches_agree"
    found = judged_crop(whole, cut(large, box), close, CONFIG)
    assert isinstance(found, Instance)
    assert near(centre_of(found.first_box), (400 / 1440, 350 / 1080), 0.03)
    assert found.scale == pytest.approx(300 / (200 / 3), rel=0.1)


def test_what_was_cut_out_of_the_picture_is_no_other_scene() -> None:
    whole, part = features(SMALL), cut(SMALL, BOX)
    larger = crop(SMALL, (0.15, 0.1, 0.4, 0.5)).resize((480, 450))
    assert judged_crop(whole, part, features(larger), CONFIG) == "same_picture"
    assert judged_crop(whole, part, features(crop(SMALL, BOX)), CONFIG) == "same_picture"
    assert judged_crop(whole, part, features(SMALL.resize((360, 270))), CONFIG) == "same_frame"


def test_transforms_and_boxes_of_a_crop_in_the_whole_picture() -> None:
    whole, part = features(texture(400, 200, 1)), features(texture(100, 50, 2))
    turn = np.array([[0.0, -2.0, 7.0], [2.0, 0.0, 3.0]])
    through = of_whole(turn, whole, part, (0.5, 0.25, 0.25, 0.25))
    # The crop's own corner, and its middle.
    for place, own in (((200, 50), (0, 0)), ((250, 75), (50, 25))):
        expected = turn[:, :2] @ own + turn[:, 2]
        assert np.allclose(through[:, :2] @ place + through[:, 2], expected)
    assert within((0.5, 0.5, 0.5, 0.25), (0.5, 0.25, 0.2, 0.4)) == (0.6, 0.45, 0.1, 0.1)
    assert within((0.0, 0.0, 1.0, 1.0), BOX) == BOX


#: A thing small in one scene and large in two others, a picture cut out of the first, one with nothing of it.
PICTURES = {
    "a": SMALL,
    "close": CLOSE,
    "part": crop(SMALL, (0.15, 0.1, 0.4, 0.5)).resize((480, 450)),
    "other": scene(2, 3),
    "third": scene(1, 5, (0.5, 0.5), side=250),
    "moved": scene(1, 1, (0.75, 0.7), side=90),
}
CROPS = [Crop(0, "vase", 0.93, BOX), Crop(1, "wall", 0.8, (0.6, 0.6, 0.3, 0.3))]


def miner(config: InstancesConfig = CONFIG) -> CropInstances:
    files = {name: encoded(picture, "PNG") for name, picture in PICTURES.items()} | {"broken": b"no image"}
    return CropInstances(config, FileFeatures(files.get, config.features), CropFeatures(files.get, config.features))


def found(
    config: InstancesConfig, *lists: str, image_id: str = "a", known: tuple[str, ...] = ()
) -> tuple[list[Found], dict[str, int]]:
    """The pairs of the crops with the images of their lists, and the reasons of the others; sums hold."""
    given = [
        Neighbours(tuple(one.split()), tuple(round(0.9 - 0.1 * n, 4) for n in range(len(one.split())))) for one in lists
    ]
    outcomes = CollectedOutcomes()
    pairs = list(miner(config).find(image_id, CROPS[: len(lists)], given, known, outcomes))
    entry = outcomes.counts.entry("candidate_pair")
    assert entry.balanced
    assert (entry.entered, entry.kept) == (sum(len(one.ids) for one in given), len(pairs))
    return pairs, dict(entry.rejected)


def test_what_a_crop_finds_is_verified_and_the_others_are_counted() -> None:
    [pair], reasons = found(CONFIG, "close part other broken gone")
    assert (pair.query_id, pair.target_id, pair.negatives) == ("a", "close", ("other",))
    assert pair.why.endswith("in the crop of vase (0.93)")
    assert "matches at scale 3." in pair.why
    assert 0 < pair.score < 1
    assert pair.query_box is not None
    assert near(centre_of(pair.query_box), (0.3, 0.3333), 0.05)
    assert pair.target_box is not None
    assert reasons == {"same_picture": 1, "few_matches_agree": 1, "no_features": 2}


def test_a_thing_that_moved_within_one_scene_is_in_no_other() -> None:
    whole, moved = features(SMALL), features(PICTURES["moved"])
    assert isinstance(judged_crop(whole, cut(SMALL, BOX), moved, CONFIG), Instance)
    assert found(CONFIG, "moved") == ([], {"same_frame": 1})


def test_known_pairs_count_and_are_not_found_again() -> None:
    assert found(CONFIG, "close", known=("close",)) == ([], {"in_another_view": 1})
    one = CONFIG.model_copy(update={"pairs_per_query": 1})
    assert found(one, "close", known=("x",)) == ([], {"query_cap": 1})
    [pair], reasons = found(one, "close third")
    assert reasons == {"query_cap": 1}
    assert pair.score == max(each.score for each in found(CONFIG, "close third")[0])


def test_of_several_crops_that_find_an_image_the_best_stands() -> None:
    double = [CROPS[0], Crop(1, "plant", 0.8, (0.15, 0.15, 0.3, 0.4))]
    outcomes, near_it = CollectedOutcomes(), Neighbours(("close",), (0.5,))
    [pair] = miner().find("a", double, [near_it, near_it], (), outcomes)
    alone = [next(miner().find("a", [one], [near_it], (), CollectedOutcomes())).score for one in double]
    assert pair.score == max(alone)
    assert outcomes.counts.entry("candidate_pair").rejected == {"in_another_crop": 1}
    # What one crop finds is no negative of the other's pairs.
    pairs, reasons = found(CONFIG, "close third", "close other")
    assert {one.target_id for one in pairs} == {"close", "third"}
    assert all("close" not in one.negatives for one in pairs)
    assert reasons == {"few_matches_agree": 2}


def test_the_query_may_be_where_the_thing_is_larger() -> None:
    assert found(InstancesConfig(directions="larger_first"), "close") == ([], {"larger_in_target": 1})


def test_windows_hold_before_anything_is_read() -> None:
    crops = ObjectCropsConfig(similarity_min=0.85, similarity_max=0.95)
    own = CONFIG.model_copy(update={"crops": crops})
    pairs, reasons = found(own, "close third other")
    assert ([one.target_id for one in pairs], reasons) == (["close"], {"outside_window": 2})


def test_by_similarity_alone_the_query_has_the_box_of_the_crop() -> None:
    crops = ObjectCropsConfig(verify="none", similarity_min=0.7, similarity_max=0.85)
    own = CONFIG.model_copy(update={"crops": crops})
    pairs, reasons = found(own, "close other gone third", "gone")
    assert [(one.target_id, one.score, one.query_box, one.target_box, one.negatives) for one in pairs] == [
        ("other", 0.8, BOX, None, ()),
        ("gone", 0.7, BOX, None, ()),
    ]
    assert pairs[0].why == "similarity 0.8000 of the crop of vase (0.93)"
    assert reasons == {"outside_window": 3}


def test_no_crop_no_neighbour_no_file() -> None:
    assert found(CONFIG) == ([], {})
    assert found(CONFIG, "") == ([], {})
    assert found(CONFIG, "close", image_id="broken") == ([], {"no_features": 1})
    assert found(CONFIG, "close", image_id="gone") == ([], {"no_features": 1})
