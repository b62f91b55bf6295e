"""Pairs of versions of one picture: another language, state, season, colour, view, year, release or step.

Images meet under templates of their addresses (`mining.version_keys`): file names and folders with one word taken out,
places on parallel pages, `hreflang` alternates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from mining.members import Member, hash_distances, member_cosines, pack, unpack_members
from mining.miners.interface import CorpusImage, Found
from mining.miners.versions_config import VersionsConfig
from mining.pair_choice import Candidate, chosen_pairs
from mining.version_keys import PLACE, Version, address_versions, alternate_versions, page_versions
from mining.version_tokens import KINDS, Kind, value_order

_PREFIX = "version:"
#: Kinds whose values stand in an order, in which only those that follow one another are paired.
_ORDERED: frozenset[Kind] = frozenset({"step", "counter", "year"})

#: Id of a page → its alternates, (language, address) each. Two captures of one address may state different ones.
Alternates = Mapping[str, Sequence[tuple[str, str]]]


class Versions:
    """A miner of meetings (`MeetingMiner`): images meet under templates of their addresses.

    `alternates`: id of a page → (language, address) of its `hreflang` alternates, itself among them.
    """

    name = "versions"

    def __init__(self, config: VersionsConfig, alternates: Alternates | None = None) -> None:
        self._config, self._alternates = config, alternates or {}

    def keys(self, image: CorpusImage) -> Iterable[tuple[str, bytes]]:
        """`version:KIND:TEMPLATE` for each template of the image, of the kinds that are asked for."""
        seen: set[str] = set()
        for version in self._versions(image):
            if version.kind in self._config.kinds and version.key not in seen:
                seen.add(version.key)
                yield _PREFIX + version.key, pack(image, note=version.value)

    def find(self, key: str, members: Sequence[tuple[str, bytes]]) -> Iterator[Found]:
        """Pairs of versions in one template, most alike first. `why`: "state before → after". Of several images with
        one value (sizes of one picture) the largest stands for all."""
        kind = _kind_of(key)
        images = _one_a_value(unpack_members(members), kind)
        if template_fault(kind, images, self._config) is not None:
            return
        visual, distances = member_cosines(images), hash_distances(images)
        ids = [one.image_id for one in images]
        candidates = _candidates(key, visual, distances, self._config)
        for one, other, score in chosen_pairs(
            candidates, ids, self._config.pairs_per_template, self._config.pairs_per_image
        ):
            for query, target in ((one, other), (other, one))[: 2 if self._config.both_directions else 1]:
                why = f"{kind} {images[query].note or 'plain'} → {images[target].note or 'plain'}"
                negatives = _negatives(query, target, images, visual, distances, self._config)
                yield Found(ids[query], ids[target], score, why, negatives)

    def _versions(self, image: CorpusImage) -> Iterator[Version]:
        yield from address_versions(image.url, image.site)
        yield from page_versions(image.page_url, image.site, image.url, image.position)
        alternates = self._alternates.get(image.page_id)
        if alternates:
            yield from alternate_versions(image.language, image.page_url, alternates, image.position)


def template_fault(kind: Kind, images: Sequence[Member], config: VersionsConfig) -> str | None:
    """Why a template gives no pairs at all: `one_version`, `generic_template`, or None. `images`: one a value."""
    if len(images) < 2:
        return "one_version"
    most = config.max_variants if kind == "variant" else config.max_values
    return "generic_template" if len(images) > most else None


def _kind_of(key: str) -> Kind:
    name = key.removeprefix(_PREFIX).partition(":")[0]
    return next(kind for kind in KINDS if kind == name)


def _one_a_value(images: Sequence[Member], kind: Kind) -> list[Member]:
    """The largest image of each value, in the order of the values; ties by id."""
    largest: dict[str, Member] = {}
    for one in images:
        kept = largest.get(one.note)
        if kept is None or one.area > kept.area:
            largest[one.note] = one
    return sorted(largest.values(), key=lambda one: (value_order(kind, one.note), one.image_id))


def _candidates(
    key: str,
    visual: npt.NDArray[np.float64],
    distances: npt.NDArray[np.int64],
    config: VersionsConfig,
) -> Iterator[Candidate]:
    """Pairs inside the windows, the first value first; of numbers only those that follow one another."""
    kind = _kind_of(key)
    loose = kind in config.loose_kinds
    least = config.loose_visual_min if loose or key.split(" ")[1:2] == [PLACE] else config.visual_min
    if kind == "counter":
        least = config.counter_visual_min
    most = config.loose_visual_max if loose else 1.0
    inside = (visual >= least) & (visual <= most)
    if kind not in config.near_equal_kinds:
        inside &= ~near_equal(visual, distances, config)
    for one, other in combinations(range(len(visual)), 2):
        follows = kind not in _ORDERED or other - one <= config.step_distance
        if follows and inside[one, other]:
            yield one, other, float(visual[one, other])


def near_equal(
    visual: npt.NDArray[np.float64], distances: npt.NDArray[np.int64], config: VersionsConfig
) -> npt.NDArray[np.bool_]:
    """Which pairs look the same, as two sizes of one picture do, bool (n, n)."""
    alike: npt.NDArray[np.bool_] = (visual >= config.near_equal_similarity) & (distances < config.min_hash_distance)
    return alike


def _negatives(
    query: int,
    target: int,
    images: Sequence[Member],
    visual: npt.NDArray[np.float64],
    distances: npt.NDArray[np.int64],
    config: VersionsConfig,
) -> tuple[str, ...]:
    """Other versions, most similar to the target first; none that looks the same as it."""
    alike = near_equal(visual, distances, config)[:, target]
    fit = [index for index in range(len(images)) if index not in (query, target) and not alike[index]]
    fit.sort(key=lambda index: (-visual[index, target], images[index].image_id))
    return tuple(images[index].image_id for index in fit[: config.negatives])
