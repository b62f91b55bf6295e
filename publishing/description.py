"""What a published dataset says of itself: facts for the card, and the manifest of its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from publishing.config import PublishConfig
from publishing.layout import file_name
from publishing.statistics import DatasetStatistics
from schemas.errors import ConfigurationError
from schemas.published import CHAINS, PUBLISHED, SPLITS, Configuration
from schemas.storage import Folder

#: Name of the manifest in the dataset's folder.
MANIFEST = "lensmith.json"
_FORMAT = 1


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelFact(_Fact):
    """A model that had a part in the dataset."""

    role: str = Field(description="what it did: image features, text embeddings, instructions, …")
    name: str = Field(description="its name")
    revision: str = Field(description="its revision or package version")


class PromptFact(_Fact):
    """A prompt that was sent to a model."""

    name: str = Field(description="its name")
    version: str = Field(description="its version")
    text: str = Field(description="its template, as it is stored")


class Facts(_Fact):
    """Where a dataset comes from. Nothing here may depend on clock, host, output path, workers or attempts."""

    version: str = Field(description="version of Lensmith")
    preset: str | None = Field(default=None, description="preset of the run")
    sources: tuple[str, ...] = Field(default=(), description="archives or collections that were read, by name")
    models: tuple[ModelFact, ...] = Field(default=(), description="models, in the order of the stages")
    prompts: tuple[PromptFact, ...] = Field(default=(), description="prompts, in the order of the stages")
    commands: tuple[str, ...] = Field(default=(), description="commands that make the dataset again")
    configuration: dict[str, Any] = Field(default_factory=dict, description="settings of all stages")
    people_words: tuple[str, ...] = Field(
        default=(), description="kinds of words about people for which texts were dropped"
    )
    decontamination: dict[str, Any] = Field(
        default_factory=dict, description="benchmarks against which images and texts were checked, and thresholds"
    )
    opt_out: str = Field(default="drop", description="what was done with pages and images that opt out: drop or keep")


@dataclass(frozen=True)
class PublishedFile:
    """One parquet file of a dataset: `name` is relative to the dataset's folder, `digest` hex SHA-256 of its bytes;
    `blurred` counts the images of a file of `images` in which faces were blurred."""

    configuration: str
    split: str
    name: str
    rows: int
    bytes: int
    digest: str
    blurred: int = 0


@dataclass(frozen=True)
class Description:
    """Everything about a dataset but its rows; card, Croissant and manifest are made of it.

    `owner` names the run: another run's dataset is never replaced. `funnel` is the content of `funnel.json`.
    """

    owner: str
    config: PublishConfig
    facts: Facts
    files: tuple[PublishedFile, ...]
    statistics: DatasetStatistics
    funnel: Mapping[str, Any] = field(default_factory=lambda: {"stages": []})

    @property
    def triplets(self) -> int:
        """Number of triplets."""
        return sum(one.rows for one in self.files if one.configuration == "ids")

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(one.rows for one in self.files if one.configuration == "images")

    @property
    def blurred(self) -> int:
        """Number of images in which faces were blurred."""
        return sum(one.blurred for one in self.files if one.configuration == "images")

    def in_benchmark(self, unit: str) -> int:
        """How many of a unit (image, text, triplet) were dropped since they match a benchmark."""
        found = (one for one in self.funnel["stages"] if one["unit"] == unit)
        return sum(one["rejected"].get("in_benchmark", 0) for one in found)

    @property
    def chains(self) -> int:
        """Number of chains."""
        return sum(one.rows for one in self.files if one.configuration == "chains")

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """The published configurations in their order; the first is the default one (`triplets`, else `ids`)."""
        chosen = [one for one in PUBLISHED if one is not CHAINS or self.config.chains is not None]
        if self.config.include_bytes:
            return tuple(chosen)
        return tuple(sorted((one for one in chosen if one.name != "triplets"), key=lambda one: one.name != "ids"))

    def of(self, configuration: str, split: str | None = None) -> list[PublishedFile]:
        """Files of a configuration, splits in their usual order, names in theirs."""
        files = [one for one in self.files if one.configuration == configuration and split in (None, one.split)]
        return sorted(files, key=lambda one: (SPLITS.index(one.split), one.name))

    def splits(self, configuration: str) -> list[str]:
        """Splits of which a configuration has files."""
        return [split for split in SPLITS if self.of(configuration, split)]

    def manifest(self) -> dict[str, Any]:
        """The content of `lensmith.json`."""
        # A dataset without chains says nothing of them.
        off = {"chains"} if self.config.chains is None else None
        return {
            "format": _FORMAT,
            "owner": self.owner,
            "config": self.config.model_dump(mode="json", exclude=off),
            "facts": self.facts.model_dump(mode="json"),
            "files": [asdict(one) for one in sorted(self.files, key=lambda one: one.name)],
            "statistics": self.statistics.to_json(),
        }


def read_description(folder: Folder) -> Description:
    """The description of the dataset in `folder`. Raises ConfigurationError where there is none that we can read."""
    try:
        data = folder.read_json(MANIFEST)
        funnel = folder.read_json("funnel.json")
        if data["format"] != _FORMAT:
            raise ConfigurationError(f"{folder.path} was written by another version of Lensmith: publish it again.")
        return Description(
            data["owner"],
            PublishConfig(**data["config"]),
            Facts(**data["facts"]),
            tuple(PublishedFile(**one) for one in data["files"]),
            DatasetStatistics.from_json(data["statistics"]),
            funnel,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{folder.path} is no dataset of Lensmith (no readable {MANIFEST}): give the folder `dataset` of a run."
        ) from error


def numbered(files: Iterable[PublishedFile], folders: Mapping[str, str]) -> dict[str, PublishedFile]:
    """Old name → file under the name that it gets once files without rows are left out; order is kept.

    `folders` maps configurations to their folders. A configuration that has no rows at all keeps its first file.
    """
    files = sorted(files, key=lambda one: (one.configuration, SPLITS.index(one.split), one.name))
    result: dict[str, PublishedFile] = {}
    for configuration, folder in folders.items():
        every = [one for one in files if one.configuration == configuration]
        kept = [one for one in every if one.rows]
        if not kept and every:
            result[every[0].name] = replace(every[0], split="train", name=file_name(folder, "train", 0, 1))
        for split in SPLITS:
            own = [one for one in kept if one.split == split]
            for index, one in enumerate(own):
                result[one.name] = replace(one, name=file_name(folder, split, index, len(own)))
    return result
