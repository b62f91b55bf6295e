"""The miner of instances: things in other scenes are found with their boxes, false friends are named."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError

pytest.importorskip("cv2")
sys.path.insert(0, str(Path(__file__).parent.parent))

from made_images import encoded
from made_scenes import area, centre_of, near, scene, screen, texture

from mining.instances_config import InstancesConfig
from mining.local_features import Features, LocalFeaturesConfig, local_features
from mining.miners.instances import FileFeatures, Instance, Instances, judged, verify
from mining.miners.interface import Found, Neighbours
from schemas.outcomes import CollectedOutcomes

CONFIG = InstancesConfig()


def features(picture: Image.Image) -> Features:
    return local_features(picture, LocalFeaturesConfig())


def test_a_thing_in_another_scene_is_found_with_both_boxes() -> None:
    found = verify(features(scene(1, 1, side=200)), features(scene(1, 2, (0.6, 0.45), 140, 20.0)), CONFIG)
    assert found is not None
    assert found.inliers >= 8
    assert near(centre_of(found.first_box), (0.5, 0.5), 0.08)
    assert near(centre_of(found.second_box), (0.6, 0.45), 0.08)
    # Boxes keep to the thing: 200 of 480 x 360 pixels, and 140.
    assert 0.1 < area(found.first_box) <= 0.27
    assert 0.05 < area(found.second_box) <= 0.15
    assert found.scale == pytest.approx(0.7, abs=0.06)


def same_pictures() -> dict[str, tuple[Image.Image, Image.Image]]:
    picture = texture(480, 360, 7)
    grey = picture.convert("L").convert("RGB")
    montage = Image.new("RGB", (480, 180))
    montage.paste(picture.resize((240, 180)), (0, 0))
    montage.paste(texture(240, 180, 9), (240, 0))
    return {
        "resized": (picture, picture.resize((300, 225))),
        "grey": (picture, grey),
        "cropped": (picture, picture.crop((60, 40, 360, 300))),
        "cropped and recoloured": (picture, Image.merge("RGB", picture.split()[::-1]).crop((60, 40, 360, 300))),
        "in a montage": (picture, montage),
    }


@pytest.mark.parametrize("kind", list(same_pictures()))
def test_the_same_picture_is_no_other_scene(kind: str) -> None:
    first, second = same_pictures()[kind]
    reasons = {"resized": "same_frame", "grey": "same_frame"}
    assert judged(features(first), features(second), CONFIG) == reasons.get(kind, "same_picture")


def test_a_changed_thing_at_the_same_place_of_the_same_frame_is_left_to_other_miners() -> None:
    assert judged(features(scene(1, 1, side=120)), features(scene(2, 1, side=120)), CONFIG) == "same_frame"


def test_screens_that_share_a_toolbar() -> None:
    first, second = features(screen(1)), features(screen(2).crop((60, 40, 480, 240)))
    # Named by what it is, when the frames differ.
    assert judged(first, second, CONFIG.model_copy(update={"frame_overlap_max": 1.0, "likeness_max": 1.0})) in (
        "plain_box",
        "few_colours",
    )
    assert verify(first, second, CONFIG) is None


def test_what_is_shared_at_the_edge_or_small_is_no_object() -> None:
    first, second = features(scene(1, 1, (0.12, 0.2), 110)), features(scene(1, 2, (0.88, 0.8), 110))
    assert judged(first, second, CONFIG) == "at_the_edge"
    assert verify(first, second, CONFIG.model_copy(update={"middle_min": 0.0})) is not None
    assert judged(first, second, CONFIG.model_copy(update={"area_min": 0.5})) == "small_box"


def test_nothing_shared() -> None:
    assert judged(features(scene(1, 1)), features(scene(2, 2)), CONFIG) == "few_matches_agree"


#: Two scenes with thing 1, one with it resized, one with thing 2.
PICTURES = {
    "a": scene(1, 1, side=200),
    "b": scene(1, 2, (0.6, 0.45), 140, 20.0),
    "c": scene(2, 3),
    "d": scene(1, 1, side=200).resize((360, 270)),
}


def miner(config: InstancesConfig = CONFIG) -> Instances:
    files = {name: encoded(picture, "PNG") for name, picture in PICTURES.items()} | {"broken": b"no image"}
    return Instances(config, FileFeatures(files.get, config.features))


def found(instances: Instances, image_id: str, *ids: str) -> list[Found]:
    outcomes = CollectedOutcomes()
    pairs = list(instances.find(image_id, neighbours(*ids), outcomes))
    entry = outcomes.counts.entry("candidate_pair")
    assert entry.balanced
    assert (entry.entered, entry.kept) == (min(len(ids), instances.views["image"]), len(pairs))
    return pairs


def neighbours(*ids: str) -> dict[str, Neighbours]:
    return {"image": Neighbours(ids, tuple(0.9 - 0.1 * place for place in range(len(ids))))}


def test_the_miner_pairs_verified_neighbours_and_counts_the_others() -> None:
    instances, outcomes = miner(), CollectedOutcomes()
    assert instances.views == {"image": 30}
    [pair] = instances.find("a", neighbours("d", "c", "b", "broken", "gone"), outcomes)
    assert isinstance(pair, Found)
    assert (pair.query_id, pair.target_id, pair.negatives) == ("a", "b", ("c",))
    assert 0 < pair.score < 1
    assert "matches" in pair.why
    assert pair.query_box is not None
    assert near(centre_of(pair.query_box), (0.5, 0.5), 0.08)
    counts = outcomes.counts.entry("candidate_pair")
    assert (counts.entered, counts.kept) == (5, 1)
    assert counts.rejected == {"same_frame": 1, "few_matches_agree": 1, "no_features": 2}


def test_both_lists_say_the_same_of_a_pair() -> None:
    [there] = found(miner(), "a", "b")
    [back] = found(miner(), "b", "a")
    assert (there.query_box, there.target_box) == (back.target_box, back.query_box)
    assert there.score == back.score


def test_the_query_may_be_where_the_thing_is_larger() -> None:
    config = InstancesConfig(directions="larger_first")
    assert [pair.target_id for pair in found(miner(config), "a", "b")] == ["b"]
    assert found(miner(config), "b", "a") == []


def test_caps() -> None:
    loose = InstancesConfig(frame_overlap_max=1.0, likeness_max=1.0, pairs_per_query=1)
    [pair] = found(miner(loose), "a", "b", "d")
    # The resized picture shares more points.
    assert pair.target_id == "d"
    assert found(miner(InstancesConfig(neighbours=1)), "a", "c", "b") == []
    assert list(miner().find("a", {}, CollectedOutcomes())) == []
    assert found(miner(), "gone", "a") == []


def test_order_of_neighbours_changes_no_pair() -> None:
    loose = InstancesConfig(frame_overlap_max=1.0, likeness_max=1.0)
    one = [(pair.target_id, pair.query_box) for pair in found(miner(loose), "a", "b", "c", "d")]
    assert one == [(pair.target_id, pair.query_box) for pair in found(miner(loose), "a", "d", "c", "b")]


def test_boards_on_a_real_site(corpora: Path) -> None:
    from benchmarks.annotate_images import archived_images

    files = archived_images(str(corpora / "**" / "hackrf" / "full" / "*.warc.gz"), 1000)
    large = [one for one in files if min(Image.open(io.BytesIO(one)).size) >= 200]
    if not large:
        pytest.skip("the folder holds no crawl with photographs of boards")
    names = {f"{number:03}": data for number, data in enumerate(large)}
    instances = Instances(CONFIG, FileFeatures(names.get, CONFIG.features))
    pairs = [pair for name in names for pair in found(instances, name, *[one for one in names if one != name][:30])]
    assert len(pairs) >= 8
    assert all(pair.query_box and pair.target_box for pair in pairs)


def test_reversal_and_settings() -> None:
    there = Instance(9, 0.5, (0.1, 0.2, 0.3, 0.4), (0.0, 0.0, 0.1, 0.1))
    assert there.reversed() == Instance(9, 2.0, (0.0, 0.0, 0.1, 0.1), (0.1, 0.2, 0.3, 0.4))
    with pytest.raises(ValidationError):
        InstancesConfig(neighbours=0)
