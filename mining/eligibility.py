"""Which places of a page hold an image that may enter pairs.

Two steps, since boilerplate shows only in counts over the whole crawl: `eligible_places` looks at the page and its
images alone, `content_images` at the counts, at near duplicates and at the cap. Both report the unit `place`, one for
each *picture* (group of alternative addresses): what enters in the first step leaves as kept in the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mining.mine_config import MineConfig
from mining.places import EligibleImage, ImageFacts, PageCounts, PageRecord, PlaceRecord, place_id
from mining.similarity import cosines, sketch_matrix
from mining.spread import spread
from schemas.outcomes import Outcomes

#: Near duplicates are sought among at most this many times the images that may enter pairing.
_COMPARED = 10


def eligible_places(
    page: PageRecord,
    places: Iterable[PlaceRecord],
    facts: Mapping[str, ImageFacts],
    config: MineConfig,
    outcomes: Outcomes,
) -> list[EligibleImage]:
    """Images of a page that pass the filters that need nothing but the page, in page order, each image once.

    `facts` holds what is known of each annotated image. Reasons: `no_image`, `not_annotated`, `opted_out`,
    `too_small`, `extreme_aspect`, `flat`, `unsafe`, `generated_image`, what `ImageFacts.removed` says,
    `byte_duplicate_on_page`.
    """
    passed: list[EligibleImage] = []
    for alternatives in _pictures(places):
        outcomes.entered("place")
        place = _best_alternative(alternatives, facts)
        known = facts.get(place.image_id) if place.image_id is not None else None
        reason, detail = _fault(page, place, known, config)
        if reason is not None or known is None:
            _reject(page, place, reason or "no_image", detail, outcomes)
            continue
        texted = place if place.text else next((other for other in alternatives if other.text), place)
        passed.append(EligibleImage(place.position, place.url, known, texted.text, texted.embedding))
    return _without_byte_duplicates(page, passed, outcomes)


def content_images(
    page: PageRecord, images: Sequence[EligibleImage], counts: PageCounts, config: MineConfig, outcomes: Outcomes
) -> list[EligibleImage]:
    """Of the images that `eligible_places` gave those that enter pairing, in page order, at most `page_images`.

    Reasons: `boilerplate_on_site`, `address_many_pages`, `near_duplicate_on_page`, `page_image_cap`.
    """
    remaining = []
    for image in images:
        reason, detail = _boilerplate(image, counts, config)
        if reason is None:
            remaining.append(image)
        else:
            _reject(page, image, reason, detail, outcomes)
    remaining = _capped(page, remaining, _COMPARED * config.page_images, outcomes)
    remaining = _without_near_duplicates(page, remaining, config, outcomes)
    remaining = _capped(page, remaining, config.page_images, outcomes)
    outcomes.kept("place", len(remaining))
    return remaining


def near_duplicates(
    image: ImageFacts, others: Sequence[ImageFacts], config: MineConfig
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which of the others look like the image: close perceptual hashes *and* high visual similarity, bool (n).

    The hash alone sees no colours, so that two colourings of one picture would be one; features alone see no detail.
    """
    if not others:
        return np.zeros(0, bool)
    hashes = np.array([other.phash for other in others], np.uint64)
    close = np.bitwise_count(hashes ^ np.uint64(image.phash)) <= config.near_duplicate_bits
    if close.any():
        alike = cosines(sketch_matrix([image.sketch]), sketch_matrix([other.sketch for other in others]))[0]
        close &= alike >= config.near_duplicate_similarity
    return close


def _pictures(places: Iterable[PlaceRecord]) -> list[list[PlaceRecord]]:
    """Alternatives of each picture in document order, pictures by the position of their first alternative."""
    groups: dict[int, list[PlaceRecord]] = {}
    for place in sorted(places, key=lambda place: (place.position, place.url)):
        groups.setdefault(place.group, []).append(place)
    return list(groups.values())


def _best_alternative(alternatives: Sequence[PlaceRecord], facts: Mapping[str, ImageFacts]) -> PlaceRecord:
    """The address that stands for a picture: the chosen one if its image is usable, else the largest usable image,
    else the chosen one or the first."""

    def order(place: PlaceRecord) -> tuple[int, bool, int, int]:
        known = facts.get(place.image_id) if place.image_id is not None else None
        resolved = 0 if known is not None else 1 if place.image_id is not None else 2
        return (resolved, not place.chosen, -known.area if known is not None else 0, place.position)

    return min(alternatives, key=order)


def _fault(
    page: PageRecord, place: PlaceRecord, known: ImageFacts | None, config: MineConfig
) -> tuple[str | None, str | None]:
    """Why a place's image may not enter, with a detail, or (None, None)."""
    if place.image_id is None:
        return "no_image", None
    if config.opt_out == "drop" and page.opt_out:
        return "opted_out", f"page: {page.opt_out}"
    if known is None:
        return "not_annotated", place.image_id
    if config.opt_out == "drop" and known.opt_out:
        return "opted_out", f"image: {known.opt_out}"
    reason, detail = image_fault(known, config)
    if reason is None and known.removed is not None:
        reason, _, detail = known.removed.partition(" ")
    return reason, detail


def image_fault(known: ImageFacts, config: MineConfig) -> tuple[str | None, str | None]:
    """Why an image may stand in no pair, whatever page shows it, with a detail, or (None, None): `too_small`,
    `extreme_aspect`, `flat`, `unsafe`, `generated_image`."""
    short, long = sorted((known.width, known.height))
    size = f"{known.width} x {known.height}"
    if short < config.min_side:
        return "too_small", size
    if long > config.max_aspect * short:
        return "extreme_aspect", size
    if known.flatness > config.max_flatness:
        return "flat", f"{known.flatness:.3f}"
    if known.nsfw is not None and known.nsfw > config.max_nsfw:
        return "unsafe", f"{known.nsfw:.2f}"
    if config.generated == "drop" and known.generated is not None:
        return "generated_image", known.generated
    if known.generated_score is not None and known.generated_score > config.max_generated_score:
        return "generated_image", f"{known.generated_score:.2f}"
    return None, None


def _without_byte_duplicates(
    page: PageRecord, images: Sequence[EligibleImage], outcomes: Outcomes
) -> list[EligibleImage]:
    """Each image once: its first place with a text, or its first place."""
    best: dict[str, EligibleImage] = {}
    for image in sorted(images, key=lambda image: (not image.text, image.position)):
        best.setdefault(image.image_id, image)
    kept = []
    for image in images:
        if best[image.image_id] is image:
            kept.append(image)
        else:
            _reject(page, image, "byte_duplicate_on_page", image.image_id, outcomes)
    return kept


def _boilerplate(image: EligibleImage, counts: PageCounts, config: MineConfig) -> tuple[str | None, str | None]:
    """Whether an image is furniture of its site, or its address of the whole crawl."""
    shown = counts.image_pages.get(image.image_id, 1)
    on_most = shown >= config.boilerplate_share_pages and shown > config.boilerplate_share * counts.site_pages
    if on_most or shown > config.boilerplate_pages:
        return "boilerplate_on_site", f"on {shown} of {counts.site_pages} pages"
    named = counts.address_pages.get(image.url, 1)
    if named > config.address_pages:
        return "address_many_pages", f"named by {named} pages"
    return None, None


def _without_near_duplicates(
    page: PageRecord, images: Sequence[EligibleImage], config: MineConfig, outcomes: Outcomes
) -> list[EligibleImage]:
    """Of images that look the same the one with most pixels, ties by id."""
    kept: list[EligibleImage] = []
    dropped: dict[str, str] = {}
    for image in sorted(images, key=lambda image: (-image.facts.area, image.image_id)):
        like = np.flatnonzero(near_duplicates(image.facts, [other.facts for other in kept], config))
        if len(like):
            dropped[image.image_id] = kept[int(like[0])].image_id
        else:
            kept.append(image)
    for image in images:
        if image.image_id in dropped:
            _reject(page, image, "near_duplicate_on_page", f"of {dropped[image.image_id]}", outcomes)
    return [image for image in images if image.image_id not in dropped]


def _capped(page: PageRecord, images: Sequence[EligibleImage], cap: int, outcomes: Outcomes) -> list[EligibleImage]:
    """At most `cap` images, spread over the page."""
    kept = spread(images, cap)
    chosen = {image.image_id for image in kept}
    for image in images:
        if image.image_id not in chosen:
            _reject(page, image, "page_image_cap", f"{len(images)} images", outcomes)
    return kept


def _reject(
    page: PageRecord, place: PlaceRecord | EligibleImage, reason: str, detail: str | None, outcomes: Outcomes
) -> None:
    outcomes.rejected("place", reason, id=place_id(page, place.position), url=place.url, detail=detail)
