"""Pairs of an image and others that show one of its objects, found by the crop of a detector.

A small thing in a large scene is no neighbour of its close-up, but its crop is. What the crop finds among whole images
is verified as neighbours are, with the crop's own local features: at a larger scale they are more than the whole
picture has there. Or it is taken by its similarity alone, where local features have nothing to hold on to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from mining.decoding import UndecodableError, decode
from mining.geometric_verification import agreement
from mining.instances_config import InstancesConfig
from mining.local_features import Features, LocalFeaturesConfig, local_features
from mining.matched_regions import DECIMALS, Box, crop_region, of_whole
from mining.miners.instances import UNLIKE, Instance, Instances, either_way, refused, verified_pair, wanted
from mining.miners.interface import Found, Neighbours
from mining.object_crops import crop, edges
from schemas.outcomes import Outcomes

#: What is said of two whole pictures that no crop of one makes another scene.
_ONE_SCENE = ("same_frame", "same_picture")


@dataclass(frozen=True, slots=True)
class Crop:
    """An object that a detector saw: its number in the image, what it was taken for, how surely, and its box."""

    number: int
    label: str
    score: float
    box: Box

    def __str__(self) -> str:
        return f"the crop of {self.label} ({self.score:.2f})"


@dataclass(frozen=True, slots=True)
class Cut:
    """Local features of a crop, and the box that it is of, in whole pixels of the picture."""

    features: Features
    box: Box


def judged_crop(whole: Features, part: Cut, second: Features, config: InstancesConfig) -> Instance | str:
    """The object in a crop of a picture (`whole`) that another shows too, or why there is none: as `judged`, whose
    reasons it has. Boxes and scale are those of the whole pictures."""
    agreed = agreement(part.features, second, config.verification)
    if agreed is None:
        return UNLIKE
    through = of_whole(agreed.transform, whole, part.features, part.box)
    shared = crop_region(whole, part.features, part.box, second, agreed, through)
    reason = refused(shared, config)
    if reason is not None:
        return reason
    scale = float(np.sqrt(np.linalg.det(through[:, :2])))
    return Instance(agreed.places, round(scale, DECIMALS), shared.first_box, shared.second_box)


class CropFeatures:
    """Local features of crops of image files, those of the last image in memory. `read` gives an image's file, or
    None."""

    def __init__(self, read: Callable[[str], bytes | None], config: LocalFeaturesConfig) -> None:
        self._read, self._config = read, config
        self._cached = lru_cache(maxsize=1)(self._cuts)

    def __call__(self, image_id: str, crops: Sequence[Crop]) -> Sequence[Cut] | None:
        """A cut for each crop; None without a file, or with one that cannot be decoded."""
        return self._cached(image_id, tuple(crops))

    def _cuts(self, image_id: str, crops: tuple[Crop, ...]) -> Sequence[Cut] | None:
        data = self._read(image_id)
        if data is None:
            return None
        try:
            picture = decode(data, self._config.max_pixels).picture
        except UndecodableError:
            return None
        cuts = []
        for one in crops:
            left, top, right, bottom = edges(picture, one.box)
            across, down = picture.size
            box = (left / across, top / down, (right - left) / across, (bottom - top) / down)
            cuts.append(Cut(local_features(crop(picture, one.box), self._config), box))
        return cuts


class CropInstances:
    """What the crops of an image found, as pairs with the image as query. `load`: an image's local features; `cut`:
    those of its crops. Neither is asked where geometry does not decide."""

    name = Instances.name

    def __init__(
        self,
        config: InstancesConfig,
        load: Callable[[str], Features | None],
        cut: Callable[[str, Sequence[Crop]], Sequence[Cut] | None],
    ) -> None:
        self._config, self._load, self._cut = config, load, cut

    def find(
        self,
        image_id: str,
        crops: Sequence[Crop],
        lists: Sequence[Neighbours],
        known: Collection[str],
        outcomes: Outcomes,
    ) -> Iterator[Found]:
        """Pairs by the neighbours of each crop, best first, ties by id. `known`: targets that the image has already;
        they count among `pairs_per_query`.

        Reasons of `candidate_pair`: those of `judged`, `in_another_view` (known), `outside_window`, `no_features`,
        `larger_in_target`, `in_another_crop` (a crop of the image shows more of it), `query_cap`."""
        found: dict[str, list[tuple[Found, int]]] = {}
        unlike: dict[int, list[str]] = {}
        for place, (one, near) in enumerate(zip(crops, lists, strict=True)):
            outcomes.entered("candidate_pair", len(near.ids))
            for other, score in zip(near.ids, near.scores, strict=True):
                verdict = self._verdict(image_id, crops, place, other, score, known)
                if isinstance(verdict, Found):
                    found.setdefault(other, []).append((verdict, one.number))
                    continue
                if verdict == UNLIKE:
                    unlike.setdefault(one.number, []).append(other)
                outcomes.rejected("candidate_pair", verdict, id=f"{image_id} {other}", detail=str(one))
        best: list[tuple[Found, int]] = []
        for other, several in found.items():
            several.sort(key=lambda one: (-one[0].score, one[1]))
            best.append(several[0])
            for _ in several[1:]:
                outcomes.rejected("candidate_pair", "in_another_crop", id=f"{image_id} {other}")
        best.sort(key=lambda one: (-one[0].score, one[0].target_id))
        left = max(0, self._config.pairs_per_query - len(known))
        for pair, _ in best[left:]:
            outcomes.rejected("candidate_pair", "query_cap", id=f"{image_id} {pair.target_id}", detail=pair.why)
        outcomes.kept("candidate_pair", len(best[:left]))
        shown = found.keys() | set(known)
        for pair, number in best[:left]:
            others = [one for one in unlike.get(number, ()) if one not in shown]
            yield replace(pair, negatives=tuple(others[: self._config.negatives]))

    def _verdict(
        self, image_id: str, crops: Sequence[Crop], place: int, other: str, score: float, known: Collection[str]
    ) -> Found | str:
        if other in known:
            return "in_another_view"
        if score not in self._config.crops.window:
            return "outside_window"
        if self._config.crops.verify == "none":
            one = crops[place]
            return Found(image_id, other, score, f"similarity {score:.4f} of {one}", query_box=one.box)
        whole = self._load(image_id)
        cuts = None if whole is None else self._cut(image_id, crops)
        theirs = None if cuts is None else self._load(other)
        if whole is None or cuts is None or theirs is None:
            return "no_features"
        verdict = judged_crop(whole, cuts[place], theirs, self._config)
        if isinstance(verdict, str):
            return verdict
        # What moved in one scene agrees in its crop alone; the rest of the pictures says that it is one scene.
        scene = either_way(image_id, whole, other, theirs, self._config)
        if scene in _ONE_SCENE:
            return str(scene)
        if not wanted(verdict, image_id < other, self._config):
            return "larger_in_target"
        return verified_pair(image_id, other, verdict, f" in {crops[place]}")
