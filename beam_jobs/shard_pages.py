"""The pages of one extraction shard as `mine_pairs` sees them, with the facts of their images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from beam_jobs.archived_robots import ArchivedRobots
from beam_jobs.index_step import Answers, answer_map
from beam_jobs.locate_images import Located
from beam_jobs.mining_index import KnownImages
from beam_jobs.tables import rows
from beam_jobs.workspace import Workspace
from mining.eligibility import content_images, eligible_places
from mining.mine import PageInput, reject_duplicate_capture
from mining.mine_config import MineConfig
from mining.pages.addresses import match_key
from mining.places import EligibleImage, ImageFacts, PageCounts, PageRecord, PlaceRecord
from mining.texts import page_texts
from schemas.ids import text_id
from schemas.outcomes import Outcomes


@dataclass(frozen=True)
class MineTask:
    """One extraction shard with everything that was resolved for it."""

    number: int
    source: tuple[str, str]
    texts: tuple[str, str]
    located: str | None
    known: Answers


class ShardPages:
    """The pages of one extraction shard with the facts of their images."""

    def __init__(self, workspace: Workspace, task: MineTask, config: MineConfig, agent: str) -> None:
        self._workspace, self._task, self._config = workspace, task, config
        self._manifest = workspace.manifests(task.source[0], [task.source[1]])[0]
        self._known = KnownImages.read(workspace, task.known)
        self._located = {url: Located.unpack(data) for url, data in answer_map(workspace, task.located).items()}
        #: What the robots.txt that the archives hold say; without one, all is allowed.
        self._robots = ArchivedRobots(workspace, self._known.robots, agent)

    def inputs(self, outcomes: Outcomes) -> Iterator[PageInput]:
        """The pages that are this shard's to mine, as they stand in its table; others are reported."""
        vectors = self._embeddings()
        places: dict[str, list[dict[str, Any]]] = {}
        for row in rows(self._workspace, self._manifest, "page_images"):
            places.setdefault(row["page_id"], []).append(row)
        seen: set[str] = set()
        for row in rows(self._workspace, self._manifest, "pages"):
            page = PageRecord.from_row(row)
            if page.page_id in seen or page.page_id not in self._known.own_pages:
                reject_duplicate_capture(page, outcomes)
                continue
            seen.add(page.page_id)
            if not self._robots.allows(page.url):
                page = replace(page, opt_out=_with_robots(page.opt_out))
            shown = places.get(page.page_id, [])
            records = [self._place(row, text, vectors) for row, text in zip(shown, page_texts(shown), strict=True)]
            known = [(one.image_id, one) for one in records if one.image_id in self._known.facts]
            facts = {image_id: self._facts(one) for image_id, one in known if image_id is not None}
            yield PageInput(page, records, facts)

    def content(self, one: PageInput, outcomes: Outcomes) -> list[EligibleImage]:
        """The images of a page that enter pairing."""
        eligible = eligible_places(one.page, one.places, one.facts, self._config, outcomes)
        site = one.page.site
        counts = PageCounts(
            self._known.site_pages.get(site, 1),
            {image.image_id: self._known.image_pages.get((site, image.image_id), 1) for image in eligible},
            _named_by(one.places, self._located),
        )
        return content_images(one.page, eligible, counts, self._config, outcomes)

    def _place(self, row: Mapping[str, Any], text: str | None, vectors: Mapping[str, Any]) -> PlaceRecord:
        located = self._located.get(match_key(row["url"]))
        vector = vectors.get(text_id(text)) if text else None
        return PlaceRecord.from_row(row, located.image_id if located else None, text, vector)

    def _facts(self, place: PlaceRecord) -> ImageFacts:
        assert place.image_id is not None
        facts = self._known.facts[place.image_id]
        return facts if self._robots.allows(place.url) else replace(facts, opt_out=_with_robots(facts.opt_out))

    def _embeddings(self) -> dict[str, Any]:
        manifest = self._workspace.manifests(self._task.texts[0], [self._task.texts[1]])[0]
        return {
            row["text_id"]: np.asarray(row["embedding"], np.float16).astype(np.float32)
            for row in rows(self._workspace, manifest, "texts", ["text_id", "embedding"])
        }


def _named_by(places: Sequence[PlaceRecord], located: Mapping[str, Located]) -> dict[str, int]:
    found = ((place.url, located.get(match_key(place.url))) for place in places)
    return {url: one.named_by for url, one in found if one is not None}


def _with_robots(opt_out: str | None) -> str:
    return ",".join(sorted({*(opt_out or "").split(","), "robots"} - {""}))
