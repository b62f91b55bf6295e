"""From places to pairs: the steps of `mine_pairs` for one page, and all of them for pages that fit into memory.

A run over a crawl has index steps between them: `eligible_places` → counts of images and addresses →
`content_images` → page sets meet in their buckets → `admit_page` and `mine_page`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mining.eligibility import content_images, eligible_places
from mining.hard_negatives import Pool, hard_negatives, make_pool
from mining.mine_config import CoOccurrenceConfig, HardNegativesConfig, MineConfig
from mining.miners.interface import Miner, Pair
from mining.miners.make import page_miner
from mining.page_sets import PageSet, band_keys, page_set, representatives, superseded_by
from mining.places import EligibleImage, ImageFacts, PageCounts, PageRecord, PlaceRecord
from schemas.outcomes import Outcomes
from schemas.tables import PAIR_SCORES

__all__ = [
    "CoOccurrenceConfig",
    "HardNegativesConfig",
    "MineConfig",
    "PageInput",
    "admit_page",
    "joined_signals",
    "mine_page",
    "mine_pages",
    "pairable_set",
    "reject_duplicate_capture",
    "sure_label",
    "unwanted_page",
]


@dataclass(frozen=True, slots=True)
class PageInput:
    """A page with its places and what is known of their images (image id → facts)."""

    page: PageRecord
    places: Sequence[PlaceRecord]
    facts: Mapping[str, ImageFacts]


def reject_duplicate_capture(page: PageRecord, outcomes: Outcomes) -> None:
    """Report a capture (equal address and body) that another shard mines; its places do not enter here."""
    outcomes.entered("page")
    outcomes.rejected("page", "duplicate_capture", id=page.page_id, url=page.url)


def pairable_set(page: PageRecord, images: Sequence[EligibleImage], config: MineConfig) -> PageSet | None:
    """The set of images with which a page meets others, or None if the page gives no pairs anyhow."""
    if _page_fault(page, images, config) is not None:
        return None
    return page_set(page.page_id, page.url, (image.image_id for image in images))


def admit_page(
    page: PageRecord, images: Sequence[EligibleImage], others: Iterable[bytes], config: MineConfig, outcomes: Outcomes
) -> bool:
    """Whether a page is mined. `images` are what `content_images` gave, `others` the sketches of representatives of
    the page's buckets.

    Reports the unit `page`; reasons: `opted_out`, `excluded_language`, `too_few_images`, `same_image_set`,
    `overlapping_image_set`.
    """
    outcomes.entered("page")
    fault = _page_fault(page, images, config)
    if fault is None:
        own = page_set(page.page_id, page.url, (image.image_id for image in images))
        better = superseded_by(own, others, config.set_overlap)
        if better is not None:
            fault = (better[0], f"mined from page {better[1].page_id}")
    if fault is not None:
        outcomes.rejected("page", fault[0], id=page.page_id, url=page.url, detail=fault[1])
        return False
    outcomes.kept("page")
    return True


def mine_page(
    page: PageRecord,
    images: Sequence[EligibleImage],
    site_pool: Pool | None,
    miner: Miner,
    config: MineConfig,
    outcomes: Outcomes,
) -> int:
    """Mine an admitted page: rows of `pairs`, sorted by id, go to `outcomes`; the number of pairs comes back. Where
    pairs are decided over the whole corpus they are rows of `candidates`.

    `site_pool` holds images of other pages of the site that may fill up hard negatives.
    """
    pools = [make_pool(image.facts for image in images)]
    if site_pool is not None:
        pools.append(site_pool)
    pairs = sorted(miner.mine(page, images, outcomes), key=lambda pair: pair.pair_id)
    said = Counter(_folded(image.text) for image in images if image.text)
    table = "candidates" if config.whole_corpus else "pairs"
    for pair in pairs:
        negatives = hard_negatives(pair.query.facts, pair.target.facts, pools, config)
        outcomes.row(table, _pair_row(page, pair, negatives, said, miner.name, config))
    if not config.whole_corpus:
        outcomes.entered("pair", len(pairs))
        outcomes.kept("pair", len(pairs))
        outcomes.out("pair", len(pairs))
    return len(pairs)


def mine_pages(inputs: Iterable[PageInput], config: MineConfig, outcomes: Outcomes) -> int:
    """All steps on pages that fit into memory, in any order; the number of pairs comes back.

    The plain form of the whole stage: what the index steps compute in a run is computed here in dictionaries.
    """
    owners: dict[str, PageInput] = {}
    for one in inputs:
        if one.page.page_id in owners:
            reject_duplicate_capture(one.page, outcomes)
        else:
            owners[one.page.page_id] = one
    ordered = [owners[page_id] for page_id in sorted(owners)]
    eligible = {one.page.page_id: eligible_places(one.page, one.places, one.facts, config, outcomes) for one in ordered}
    counts = _count(ordered, eligible)
    content = {
        one.page.page_id: content_images(one.page, eligible[one.page.page_id], counts[one.page.site], config, outcomes)
        for one in ordered
    }
    buckets = _buckets(ordered, content, config)
    admitted = [one.page for one in ordered if _admit(one.page, content[one.page.page_id], buckets, config, outcomes)]
    pools = site_pools(((page.site, content[page.page_id]) for page in admitted), config)
    miner = page_miner(config)
    if miner is None:
        return 0
    return sum(
        mine_page(page, content[page.page_id], pools.get(page.site), miner, config, outcomes) for page in admitted
    )


def site_pools(pages: Iterable[tuple[str, Sequence[EligibleImage]]], config: MineConfig) -> dict[str, Pool]:
    """For each site the pool of its admitted pages' images (`pages`: site and images of each)."""
    images: dict[str, dict[str, ImageFacts]] = defaultdict(dict)
    for site, on_page in pages:
        images[site].update((image.image_id, image.facts) for image in on_page)
    limit = config.hard_negatives.site_pool
    return {site: make_pool(found.values(), limit) for site, found in images.items()} if limit else {}


def unwanted_page(page: PageRecord, config: MineConfig) -> tuple[str, str] | None:
    """Why a page gives no pairs whatever images it shows, with a detail: `opted_out`, `excluded_language`, or None."""
    if config.opt_out == "drop" and page.opt_out:
        return "opted_out", page.opt_out
    if page.language is not None and page.language in config.excluded_languages:
        return "excluded_language", page.language
    return None


def _page_fault(page: PageRecord, images: Sequence[EligibleImage], config: MineConfig) -> tuple[str, str | None] | None:
    """Why a page gives no pairs whatever other pages hold, with a detail."""
    fault = unwanted_page(page, config)
    if fault is not None:
        return fault
    # An image that is alone on its page has no partner there, and may have one in the corpus.
    if len(images) < (1 if config.whole_corpus else config.min_images):
        return "too_few_images", str(len(images))
    return None


def _count(inputs: Sequence[PageInput], eligible: Mapping[str, Sequence[EligibleImage]]) -> dict[str, PageCounts]:
    """Counts for each site. Several captures of one address count once."""
    site_pages: dict[str, set[str]] = defaultdict(set)
    image_pages: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    address_pages: dict[str, set[str]] = defaultdict(set)
    for one in inputs:
        site_pages[one.page.site].add(one.page.url)
        for image in eligible[one.page.page_id]:
            image_pages[one.page.site][image.image_id].add(one.page.url)
        for place in one.places:
            address_pages[place.url].add(one.page.url)
    addresses = {address: len(pages) for address, pages in address_pages.items()}
    return {
        site: PageCounts(len(pages), {image_id: len(shown) for image_id, shown in image_pages[site].items()}, addresses)
        for site, pages in site_pages.items()
    }


def _buckets(
    inputs: Sequence[PageInput], content: Mapping[str, Sequence[EligibleImage]], config: MineConfig
) -> dict[str, list[bytes]]:
    """Representatives of each bucket of page sets."""
    members: dict[str, set[bytes]] = defaultdict(set)
    for one in inputs:
        own = pairable_set(one.page, content[one.page.page_id], config)
        if own is not None:
            for key in band_keys(own):
                members[key].add(own.to_bytes())
    return {key: representatives(sketches) for key, sketches in members.items()}


def _admit(
    page: PageRecord,
    images: Sequence[EligibleImage],
    buckets: Mapping[str, Sequence[bytes]],
    config: MineConfig,
    outcomes: Outcomes,
) -> bool:
    own = pairable_set(page, images, config)
    keys = band_keys(own) if own is not None else []
    return admit_page(page, images, {sketch for key in keys for sketch in buckets[key]}, config, outcomes)


def _pair_row(
    page: PageRecord, pair: Pair, negatives: list[str], said: Mapping[str, int], miner: str, config: MineConfig
) -> dict[str, Any]:
    """A row of `pairs`. `said`: how many images of the page have each text."""
    query, target = pair.query, pair.target
    return {
        "pair_id": pair.pair_id,
        "page_id": page.page_id,
        "query_image_id": query.image_id,
        "target_image_id": target.image_id,
        "visual_similarity": pair.visual_similarity,
        "text_similarity": pair.text_similarity,
        "mining": miner,
        "mining_details": None,
        "hard_negatives": negatives,
        "page_url": page.url,
        "page_title": page.title,
        "query_image_url": query.url,
        "target_image_url": target.url,
        "query_text": query.text,
        "target_text": target.text,
        "target_text_shared": bool(target.text) and said[_folded(target.text or "")] > 1,
        "query_label": sure_label(query.facts, config),
        "target_label": sure_label(target.facts, config),
        "language": page.language,
        "license": page.license,
        "opt_out": joined_signals(page.opt_out, query.facts.opt_out, target.facts.opt_out),
        "crawl_date": page.crawl_date,
        "site": page.site,
        **dict.fromkeys(("target_page_id", "target_page_url", "target_page_title", "query_box", "target_box")),
        "query_generated": query.facts.generated,
        "target_generated": target.facts.generated,
        **dict.fromkeys(name for name, _, _ in PAIR_SCORES),
    }


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def sure_label(image: ImageFacts, config: MineConfig) -> str | None:
    """The image model's label unless it guesses: on diagrams and screenshots it is nonsense with a low score."""
    return image.label if (image.label_score or 0.0) >= config.label_score_min else None


def joined_signals(*opt_outs: str | None) -> str | None:
    """Union of comma-separated opt-out signals, sorted; None if there are none."""
    signals = {signal for one in opt_outs if one for signal in one.split(",")}
    return ",".join(sorted(signals)) or None
