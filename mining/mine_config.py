"""Settings of `mine_pairs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mining.annotate_config import AnnotateConfig
from mining.decontamination.config import DecontaminationConfig
from mining.instances_config import InstancesConfig
from mining.miners.entities_config import EntitiesConfig
from mining.miners.groups_of_six import GroupsOfSixConfig
from mining.miners.hard_rounds_config import HardRoundsConfig
from mining.miners.mid_rank import MidRankConfig
from mining.miners.neighbours import NeighboursConfig
from mining.miners.versions_config import VersionsConfig
from mining.near_duplicates import NearDuplicatesConfig
from mining.page_sets import MAX_SET_IMAGES
from mining.scores.filter import ColumnWindow, check_columns
from schemas.errors import ConfigurationError

MinerName = Literal[
    "co_occurrence",
    "groups_of_six",
    "neighbours",
    "mid_rank",
    "instances",
    "entities",
    "versions",
    "hard_rounds",
]
ScoreName = Literal["agreement", "thing_pmi", "alignment", "hubness"]
#: Columns that every pair has, and those that each score fills.
_OWN_COLUMNS = ("visual_similarity", "text_similarity")
SCORE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "agreement": ("agreement",),
    "thing_pmi": ("thing_pmi",),
    "alignment": ("query_alignment", "target_alignment"),
    "hubness": ("query_hubness", "target_hubness"),
}
#: The miner that sees one page at a time; all others see the whole corpus.
PAGE_MINER: MinerName = "co_occurrence"
#: Settings that change nothing on a single page.
CORPUS_FIELDS = frozenset(
    ("miners", "quotas", "caps", "search", "scores", "filter", *(set(get_args(MinerName)) - {PAGE_MINER}))
)


class CoOccurrenceConfig(BaseModel):
    """Settings of the miner `co_occurrence`: which ordered pairs of a page's images are worth a triplet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    visual_min: float = Field(default=0.2, ge=-1, le=1, description="pairs below this visual similarity are unrelated")
    visual_max: float = Field(default=0.97, ge=-1, le=1, description="pairs above this visual similarity are the same")
    text_min: float = Field(
        default=0.1, ge=-1, le=1, description="pairs whose texts' similarity is below this are unrelated"
    )
    text_max: float = Field(
        default=0.97, ge=-1, le=1, description="pairs whose texts' similarity is above this say the same"
    )
    untexted: Literal["last", "drop", "equal"] = Field(
        default="last",
        description="pairs with a missing text are taken last, dropped (no_text), or treated like the others",
    )
    both_directions: Literal["independent", "keep", "drop"] = Field(
        default="independent",
        description="independent: each ordered pair for itself; keep: a pair and its reverse are kept or dropped "
        "together; drop: one direction only",
    )
    pairs_per_page: int = Field(default=10, ge=1, description="ordered pairs taken from one page")
    pairs_per_query: int = Field(default=2, ge=1, description="ordered pairs of one page that share a query image")

    @model_validator(mode="after")
    def _windows_are_open(self) -> CoOccurrenceConfig:
        if self.visual_min >= self.visual_max or self.text_min >= self.text_max:
            raise ValueError("a similarity window's lower end must lie below its upper end")
        return self


class HardNegativesConfig(BaseModel):
    """Settings of the hard negatives of a pair."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(default=5, ge=0, description="hard negatives beside the query image")
    similarity_max: float = Field(
        default=0.7,
        ge=-1,
        le=1,
        description="false-negative guard: images more similar to the target than this are left out",
    )
    site_pool: int = Field(
        default=1000, ge=0, description="images of the same site and shard that may fill up the list; 0 is none"
    )


class SearchConfig(BaseModel):
    """Settings of the search for nearest neighbours in the whole corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exact_up_to: int = Field(
        default=100_000, ge=0, description="images up to which every two are compared; more are searched approximately"
    )
    recall: float = Field(
        default=0.97, gt=0, le=1, description="share of the true neighbours that an approximate index is set up to find"
    )
    images_per_part: int = Field(
        default=200_000, ge=1, description="images of one part of the index, and of one search job"
    )
    sample: int = Field(
        default=200_000, ge=100, description="images on which an approximate index is trained, chosen by hash"
    )
    clusters: int = Field(
        default=1024,
        ge=1,
        description="clusters of features that caps.cluster counts by: a power of two, fewer where the corpus is small",
    )
    measured: int = Field(
        default=200, ge=1, description="images whose neighbours are also sought exactly, to measure the recall"
    )


class CapsConfig(BaseModel):
    """Caps on pairs over the whole corpus, so that nothing floods the set; null is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query: int | None = Field(default=None, ge=1, description="pairs that share a query image")
    target: int | None = Field(default=None, ge=1, description="pairs that share a target image")
    cluster: int | None = Field(default=None, ge=1, description="pairs whose targets lie in one cluster of features")
    site: int | None = Field(default=None, ge=1, description="pairs whose query images stand on one site")
    host: int | None = Field(
        default=None, ge=1, description="pairs whose target images come from one host (registrable domain)"
    )

    @property
    def given(self) -> dict[str, int]:
        """Name → cap, of those that are set, in the order in which they hold."""
        return {name: cap for name, cap in self.model_dump().items() if cap is not None}


class MineConfig(BaseModel):
    """Settings of `mine_pairs`: page and image filters, the miner and its windows, hard negatives."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opt_out: Literal["drop", "keep"] = Field(
        default="drop", description="pages and images with an opt-out signal are dropped, or kept with it on record"
    )
    excluded_languages: tuple[str, ...] = Field(
        default=(), description="languages (ISO 639-1) whose pages are left out"
    )
    min_side: int = Field(default=100, ge=1, description="shorter side of an image, in pixels, at least")
    max_aspect: float = Field(default=3.0, ge=1, description="longer side over shorter side, at most")
    max_flatness: float = Field(
        default=0.98, gt=0, le=1, description="share of an image that may have one grey level band (1 is blank)"
    )
    max_nsfw: float = Field(default=0.8, gt=0, le=1, description="not-safe-for-work probability, at most")
    near_duplicates: NearDuplicatesConfig | None = Field(
        default=None, description="near duplicates across the whole crawl: one survives; null keeps them all"
    )
    decontaminate: DecontaminationConfig = Field(
        default_factory=DecontaminationConfig, description="benchmarks whose images and texts are dropped"
    )
    generated: Literal["keep", "drop"] = Field(
        default="keep",
        description="images whose metadata say that a model made them: kept with that on record, or dropped",
    )
    max_generated_score: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="probability by `annotate_images.generated_model` that a model made it, at most",
    )
    boilerplate_pages: int = Field(
        default=10,
        ge=1,
        description="an image on more pages of a site than this is boilerplate, however large the site",
    )
    boilerplate_share: float = Field(
        default=0.5, ge=0, le=1, description="an image on more than this share of a site's pages is boilerplate …"
    )
    boilerplate_share_pages: int = Field(
        default=5, ge=2, description="… if it is on at least this many pages: what finds the logo of a small site"
    )
    address_pages: int = Field(
        default=10, ge=1, description="an address that more pages of the crawl name is a logo or an advertisement"
    )
    near_duplicate_bits: int = Field(
        default=2, ge=0, le=16, description="images of a page whose perceptual hashes differ in at most these many bits"
    )
    near_duplicate_similarity: float = Field(
        default=0.95,
        ge=-1,
        le=1,
        description="… and whose visual similarity is at least this are near duplicates (the hash sees no colour)",
    )
    page_images: int = Field(
        default=60, ge=2, le=MAX_SET_IMAGES, description="images of one page that enter pairing, spread over the page"
    )
    min_images: int = Field(default=2, ge=2, description="pages with fewer images after all filters give no pairs")
    set_overlap: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="of two pages that share at least this part of their images (Jaccard) the richer is mined",
    )
    label_score_min: float = Field(
        default=0.3, ge=0, le=1, description="image labels below this probability are not written into pairs"
    )
    miners: tuple[MinerName, ...] = Field(
        default=(PAGE_MINER,),
        min_length=1,
        description="which miners make the pairs; a pair that several find counts for the first of them",
    )
    quotas: dict[str, int] = Field(
        default={}, description="miner → how many pairs it gives at most, chosen by hash; none named, none bounded"
    )
    caps: CapsConfig = Field(default_factory=CapsConfig, description="caps on pairs over the whole corpus")
    co_occurrence: CoOccurrenceConfig = Field(
        default_factory=CoOccurrenceConfig, description="settings of the miner `co_occurrence`"
    )
    groups_of_six: GroupsOfSixConfig = Field(
        default_factory=GroupsOfSixConfig, description="settings of the miner `groups_of_six`"
    )
    neighbours: NeighboursConfig = Field(
        default_factory=NeighboursConfig, description="settings of the miner `neighbours`"
    )
    mid_rank: MidRankConfig = Field(default_factory=MidRankConfig, description="settings of the miner `mid_rank`")
    instances: InstancesConfig = Field(default_factory=InstancesConfig, description="settings of the miner `instances`")
    entities: EntitiesConfig = Field(default_factory=EntitiesConfig, description="settings of the miner `entities`")
    versions: VersionsConfig = Field(default_factory=VersionsConfig, description="settings of the miner `versions`")
    hard_rounds: HardRoundsConfig = Field(
        default_factory=HardRoundsConfig, description="settings of the miner `hard_rounds` (`lensmith run --guided-by`)"
    )
    scores: tuple[ScoreName, ...] = Field(
        default=(), description="scores of pairs that become columns: agreement, thing_pmi, alignment, hubness"
    )
    filter: dict[str, ColumnWindow] = Field(
        default={},
        description="score column → {min, max, missing: keep or drop}: which pairs are kept",
    )
    search: SearchConfig = Field(
        default_factory=SearchConfig, description="settings of the search for nearest neighbours"
    )
    hard_negatives: HardNegativesConfig = Field(
        default_factory=HardNegativesConfig, description="settings of the hard negatives"
    )

    @model_validator(mode="after")
    def _miners_are_consistent(self) -> MineConfig:
        if len(set(self.miners)) < len(self.miners):
            raise ValueError("miners names one of them twice")
        for name, quota in self.quotas.items():
            if name not in self.miners:
                raise ValueError(f"quotas names {name!r}, which is none of miners: {', '.join(self.miners)}")
            if quota < 1:
                raise ValueError(f"the quota of {name} must be at least 1; leave the miner out of miners for none")
        columns = [*_OWN_COLUMNS, *(column for score in self.scores for column in SCORE_COLUMNS[score])]
        check_columns(self.filter, columns)
        return self

    @property
    def whole_corpus(self) -> bool:
        """Whether pairs are decided over the whole corpus, and not page by page."""
        more = self.quotas, self.caps.given, self.scores, self.filter
        return self.miners != (PAGE_MINER,) or any(more)


def check_captions(config: MineConfig, models: AnnotateConfig) -> None:
    """Raise ConfigurationError where a miner is to read captions, and no model writes any."""
    if models.caption_model is not None:
        return
    readers = {
        "neighbours.caption": "neighbours" in config.miners and config.neighbours.caption is not None,
        "mid_rank.view": "mid_rank" in config.miners and config.mid_rank.view == "caption",
        # By default captions are read where there are some.
        "entities.sources": "entities" in config.miners
        and "caption" in config.entities.sources
        and config.entities.sources != EntitiesConfig().sources,
    }
    for setting, reads in readers.items():
        if reads:
            raise ConfigurationError(
                f"mine_pairs.{setting} reads captions, and nothing writes any: set annotate_images.caption_model, such "
                "as Salesforce/blip-image-captioning-base."
            )
