"""Pairs of images of one named thing in different views, contexts and times, after MOFI (arXiv 2306.07952).

Names come from the texts around an image; of these the best aligned with the image are its names. Images meet under
the name in its normalised form, and pairs are taken inside a visual window, other pages and sites first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from mining.alignment import Alignment
from mining.members import Member, hash_distances, member_cosines, pack, unpack_members
from mining.miners.entities_config import EntitiesConfig
from mining.miners.interface import CorpusImage, Found
from mining.pair_choice import Candidate, chosen_pairs
from mining.phrases import PhraseFinder, entity_of
from mining.similarity import DECIMALS

#: What another site, another page and another time add to a pair's score.
_OTHER_SITE, _OTHER_PAGE, _OTHER_TIME = 0.1, 0.2, 0.1
_NO_TEXT = bytes(8)
_PREFIX = "entity:"
#: Note of a member whose own text or caption holds the name, not only its page's title.
_OWN = "own"


class Entities:
    """A miner of meetings (`MeetingMiner`): images meet under the names that were chosen for them.

    Without a finder and an alignment it pairs what met, and names no keys."""

    name = "entities"

    def __init__(
        self, config: EntitiesConfig, finder: PhraseFinder | None = None, alignment: Alignment | None = None
    ) -> None:
        self._config, self._finder, self._alignment = config, finder, alignment

    def keys(self, image: CorpusImage) -> Iterable[tuple[str, bytes]]:
        """`entity:` and the normalised name, for each of the image's names, best first."""
        if self._finder is None or self._alignment is None:
            raise ValueError("names are found by a finder and an alignment")
        for name, score, own in image_entities(image, self._finder, self._alignment, self._config):
            yield _PREFIX + name, pack(image, score, _OWN if own else "")

    def find(self, key: str, members: Sequence[tuple[str, bytes]]) -> Iterator[Found]:
        """Pairs of images of the name, best first; none where `entity_fault` says why. `why` is the name, with the
        other site or time where there is one."""
        images = unpack_members(members)
        if entity_fault(images, self._config) is not None:
            return
        images = _spread(images, self._config.compared)
        visual = member_cosines(images)
        distances = hash_distances(images)
        ids = [one.image_id for one in images]
        candidates = list(_candidates(images, visual, distances, self._config))
        taken: list[Candidate] = []
        left = self._config.pairs_per_entity
        for group in _groups(images, candidates, self._config):
            taken += chosen_pairs(group, ids, left - len(taken), self._config.pairs_per_image)
        for one, other, score in _within(taken, self._config.pairs_per_image):
            why = f"the same {key.removeprefix(_PREFIX)}{_difference(images[one], images[other], self._config)}"
            for query, target in ((one, other), (other, one))[: 2 if self._config.both_directions else 1]:
                negatives = _negatives(query, target, images, visual, distances, self._config)
                yield Found(ids[query], ids[target], score, why, negatives)


def image_entities(
    image: CorpusImage, finder: PhraseFinder, alignment: Alignment, config: EntitiesConfig
) -> list[tuple[str, float, bool]]:
    """The names of an image, each with its alignment and whether the image's own text or caption holds it (else only
    the page's title does), best first, ties by name.

    Of names that hold one another ("fast preview", "fast preview window") the better aligned stays.
    """
    written: dict[str, tuple[str, bool]] = {}
    for text, own in _texts(image, config):
        for phrase in finder.phrases(text, image.language):
            name = entity_of(phrase, config.max_words)
            if name is not None:
                written.setdefault(name, (phrase, own))
    names = sorted(written)
    scores = alignment.scores(image, [written[name][0] for name in names])
    chosen: list[tuple[str, float, bool]] = []
    for name, score in sorted(zip(names, scores.tolist(), strict=True), key=lambda one: (-one[1], one[0])):
        own = written[name][1]
        nested = any(f" {name} " in f" {other} " or f" {other} " in f" {name} " for other, _, _ in chosen)
        least = config.alignment_min if own else config.title_alignment_min
        if score >= least and not nested and len(chosen) < config.names_per_image:
            chosen.append((name, round(score, DECIMALS), own))
    return chosen


def entity_fault(images: Sequence[Member], config: EntitiesConfig) -> str | None:
    """Why a name gives no pairs at all: `generic_entity`, `site_subject`, `one_image`, or None."""
    if len(images) < 2:
        return "one_image"
    if len(images) > config.max_images:
        return "generic_entity"
    if len({one.site for one in images}) == 1 and len(images) > config.max_site_images:
        return "site_subject"
    return None


def _texts(image: CorpusImage, config: EntitiesConfig) -> list[tuple[str, bool]]:
    """Texts with whether they are the image's own, those first."""
    known = {"text": image.text, "caption": image.caption, "title": image.page_title}
    sources = sorted(config.sources, key=list(known).index)
    return [(text, source != "title") for source in sources if (text := known[source])]


def _spread(images: Sequence[Member], count: int) -> list[Member]:
    """`count` of the images, in rounds over sites and, within a site, over pages; sorted by id."""
    if len(images) <= count:
        return list(images)
    on_page: dict[tuple[bytes, bytes], int] = {}
    pages_of_site: dict[bytes, int] = {}
    ranked = []
    for one in images:
        page_round = on_page[one.site, one.page] = on_page.get((one.site, one.page), -1) + 1
        site_round = pages_of_site[one.site] = pages_of_site.get(one.site, -1) + 1
        ranked.append((page_round, site_round, one.image_id, one))
    return sorted((one[3] for one in sorted(ranked, key=lambda one: one[:3])[:count]), key=lambda one: one.image_id)


def _candidates(
    images: Sequence[Member],
    visual: npt.NDArray[np.float64],
    distances: npt.NDArray[np.int64],
    config: EntitiesConfig,
) -> Iterator[Candidate]:
    """Pairs inside the windows with their scores."""
    inside = (visual >= config.visual_min) & (visual <= config.visual_max) & (distances >= config.min_hash_distance)
    for query, target in combinations(range(len(images)), 2):
        if not inside[query, target]:
            continue
        one, other = images[query], images[target]
        if config.equal_texts == "drop" and one.text == other.text:
            continue
        if (one.note == _OWN) + (other.note == _OWN) < config.own_names:
            continue
        if config.same_page == "drop" and one.page == other.page:
            continue
        score = (one.score + other.score) / 2
        score += _OTHER_SITE * (one.site != other.site) + _OTHER_PAGE * (one.page != other.page)
        score += _OTHER_TIME * _is_other_time(one, other, config)
        yield query, target, round(score, DECIMALS)


def _groups(
    images: Sequence[Member], candidates: Sequence[Candidate], config: EntitiesConfig
) -> Iterator[Sequence[Candidate]]:
    """The candidates in the groups in which they are taken."""
    if config.same_page != "last":
        yield candidates
        return
    yield [pair for pair in candidates if images[pair[0]].page != images[pair[1]].page]
    yield [pair for pair in candidates if images[pair[0]].page == images[pair[1]].page]


def _within(pairs: Iterable[Candidate], per_image: int) -> Iterator[Candidate]:
    """The pairs in order as long as no image takes part in too many: groups were capped each for itself."""
    used: dict[int, int] = {}
    for pair in pairs:
        if all(used.get(image, 0) < per_image for image in pair[:2]):
            for image in pair[:2]:
                used[image] = used.get(image, 0) + 1
            yield pair


def _is_other_time(one: Member, other: Member, config: EntitiesConfig) -> bool:
    return bool(one.day and other.day) and abs(one.day - other.day) >= config.apart_days


def _difference(one: Member, other: Member, config: EntitiesConfig) -> str:
    parts = []
    if one.site != other.site:
        parts.append("another site")
    elif one.page != other.page:
        parts.append("another page")
    if _is_other_time(one, other, config):
        parts.append("another time")
    return f" ({', '.join(parts)})" if parts else ""


def _negatives(
    query: int,
    target: int,
    images: Sequence[Member],
    visual: npt.NDArray[np.float64],
    distances: npt.NDArray[np.int64],
    config: EntitiesConfig,
) -> tuple[str, ...]:
    """Other images of the name, most similar to the query first; none that looks like the target."""
    fit = [
        index
        for index in range(len(images))
        if index not in (query, target)
        and visual[index, target] <= config.visual_max
        and distances[index, target] >= config.min_hash_distance
    ]
    fit.sort(key=lambda index: (-visual[index, query], images[index].image_id))
    return tuple(images[index].image_id for index in fit[: config.negatives])
