"""Pairs that show an object of one image in another scene, found by local features.

The idea of IDMR (Instance-Driven Multimodal Image Retrieval: an object's crop, and another scene with it) and of pixel
retrieval (arXiv 2309.05438: an instance, and where it stands in the image), without a detector: an image's nearest
neighbours are verified geometrically, and the boxes of what agrees are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from mining.decoding import UndecodableError
from mining.geometric_verification import agreement
from mining.instances_config import InstancesConfig
from mining.local_features import Features, LocalFeaturesConfig, file_features
from mining.matched_regions import DECIMALS, Box, Region, region
from mining.miners.interface import Found, Neighbours
from schemas.outcomes import Outcomes

VIEW = "image"
#: The reason whose images serve as hard negatives: nothing says that they show the object.
UNLIKE = "few_matches_agree"
#: Matches at which a score is a half.
_HALF = 10


@dataclass(frozen=True, slots=True)
class Instance:
    """One object in two pictures. Boxes are x, y, width, height as fractions; `inliers`: matches at different places
    that agree; `scale`: how many times longer the object is in the second picture, in pixels as compared."""

    inliers: int
    scale: float
    first_box: Box
    second_box: Box

    def reversed(self) -> Instance:
        """The same from the second picture to the first."""
        return Instance(self.inliers, round(1.0 / self.scale, DECIMALS), self.second_box, self.first_box)


def judged(first: Features, second: Features, config: InstancesConfig) -> Instance | str:
    """The object that two pictures share, or why there is none.

    Reasons: `few_matches_agree`, `small_box`, `same_frame`, `same_picture`, `plain_box`, `few_colours`, `at_the_edge`.
    """
    agreed = agreement(first, second, config.verification)
    if agreed is None:
        return UNLIKE
    part = region(first, second, agreed)
    reason = refused(part, config)
    if reason is not None:
        return reason
    return Instance(agreed.places, round(agreed.scale, DECIMALS), part.first_box, part.second_box)


def verify(first: Features, second: Features, config: InstancesConfig) -> Instance | None:
    """The object that two pictures show in different scenes, or None."""
    found = judged(first, second, config)
    return found if isinstance(found, Instance) else None


def refused(part: Region, config: InstancesConfig) -> str | None:
    """Why a shared part is no object in another scene, None where it is one."""
    rules = (
        (part.area < config.area_min, "small_box"),
        (part.frame_overlap > config.frame_overlap_max, "same_frame"),
        (part.likeness > config.likeness_max, "same_picture"),
        (part.plain > config.plain_max, "plain_box"),
        (part.entropy < config.entropy_min, "few_colours"),
        (part.middle < config.middle_min, "at_the_edge"),
    )
    return next((reason for broken, reason in rules if broken), None)


class FileFeatures:
    """Features of image files, the last `keep` of them in memory (64 KB each): the miner's `load` where no table
    holds them. `read` gives an image's file, or None."""

    def __init__(self, read: Callable[[str], bytes | None], config: LocalFeaturesConfig, keep: int = 4096) -> None:
        self._read, self._config = read, config
        self._cached = lru_cache(maxsize=keep)(self._features)

    def __call__(self, image_id: str) -> Features | None:
        """The image's features; None without a file, or with one that cannot be decoded."""
        return self._cached(image_id)

    def _features(self, image_id: str) -> Features | None:
        data = self._read(image_id)
        if data is None:
            return None
        try:
            return file_features(data, self._config)
        except UndecodableError:
            return None


class Instances:
    """A neighbour miner: of an image's nearest neighbours those that show its object in another scene."""

    name = "instances"

    def __init__(self, config: InstancesConfig, load: Callable[[str], Features | None]) -> None:
        self._config, self._load = config, load
        self.views: Mapping[str, int] = {VIEW: config.neighbours}

    def find(self, image_id: str, lists: Mapping[str, Neighbours], outcomes: Outcomes) -> Iterator[Found]:
        """Pairs with the image as query: most inliers first, ties by id.

        Reasons of `candidate_pair`: those of `judged`, `no_features`, `larger_in_target`, `query_cap`."""
        near = lists[VIEW].ids[: self._config.neighbours] if VIEW in lists else ()
        features = self._load(image_id) if near else None
        outcomes.entered("candidate_pair", len(near))
        found: list[Found] = []
        negatives: list[str] = []
        for other in near:
            verdict = "no_features" if features is None else self._compared(image_id, features, other)
            if verdict == UNLIKE:
                negatives.append(other)
            if isinstance(verdict, str):
                outcomes.rejected("candidate_pair", verdict, id=f"{image_id} {other}")
            else:
                found.append(verified_pair(image_id, other, verdict))
        found.sort(key=lambda pair: (-pair.score, pair.target_id))
        taken, rest = found[: self._config.pairs_per_query], found[self._config.pairs_per_query :]
        for pair in rest:
            outcomes.rejected("candidate_pair", "query_cap", id=f"{image_id} {pair.target_id}", detail=pair.why)
        outcomes.kept("candidate_pair", len(taken))
        for pair in taken:
            yield replace(pair, negatives=tuple(negatives[: self._config.negatives]))

    def _compared(self, image_id: str, features: Features, other: str) -> Instance | str:
        theirs = self._load(other)
        if theirs is None:
            return "no_features"
        verdict = either_way(image_id, features, other, theirs, self._config)
        if isinstance(verdict, str) or wanted(verdict, image_id < other, self._config):
            return verdict
        return "larger_in_target"


def either_way(
    image_id: str, features: Features, other: str, theirs: Features, config: InstancesConfig
) -> Instance | str:
    """What `judged` says from an image to another. It is asked from the smaller id, so that both images' lists say the
    same of a pair."""
    if image_id < other:
        return judged(features, theirs, config)
    verdict = judged(theirs, features, config)
    return verdict if isinstance(verdict, str) else verdict.reversed()


def wanted(instance: Instance, smaller: bool, config: InstancesConfig) -> bool:
    """Whether a pair has the direction that is asked for; `smaller`: the query has the smaller id."""
    if config.directions == "both":
        return True
    query, target = (box[2] * box[3] for box in (instance.first_box, instance.second_box))
    return query > target or (query == target and smaller)


def verified_pair(image_id: str, other: str, instance: Instance, where: str = "") -> Found:
    """The pair of an image and another that show an object; `where` ends the words for it."""
    score = round(instance.inliers / (instance.inliers + _HALF), DECIMALS)
    why = f"{instance.inliers} matches at scale {instance.scale:.2f}{where}"
    return Found(image_id, other, score, why, query_box=instance.first_box, target_box=instance.second_box)
