"""The settings of a run: a preset, overridden key by key by the user's file and by options."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mining.annotation import AnnotateConfig
from mining.extraction import ExtractConfig
from mining.fetching.config import FetchConfig
from mining.mine_config import MineConfig
from publishing.config import PublishConfig
from schemas.errors import ConfigurationError
from synthesis.config import VerifyConfig, WriteConfig

#: The stages in their order.
STAGES = (
    "extract_pages",
    "fetch_images",
    "annotate_images",
    "mine_pairs",
    "write_instructions",
    "verify_triplets",
    "publish_dataset",
)
_OPERATIONAL: dict[str, Any] = {"operational": True}


class RunSettings(BaseModel):
    """Settings that belong to no stage alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shard_bytes: int = Field(
        default=16 << 20,
        gt=0,
        description="bytes of archives that make one extraction shard; fixed in the output folder",
    )
    host_buckets: int = Field(default=16, ge=1, le=9999, description="buckets of hosts; fixed in the output folder")
    max_failed: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="share of a unit that may fail before the run stops; null is 0.05, while fetching 0.5",
        json_schema_extra=_OPERATIONAL,
    )


class Settings(BaseModel):
    """All settings: one section a stage, named as the stage is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opt_out: Literal["drop", "keep"] = Field(
        default="drop",
        description="what becomes of pages and images that opt out: dropped, or kept with the signal on record",
    )
    run: RunSettings = Field(default_factory=RunSettings, description="the run as a whole")
    extract_pages: ExtractConfig = Field(default_factory=ExtractConfig, description="archives to pages")
    fetch_images: FetchConfig = Field(default_factory=FetchConfig, description="what no archive holds")
    annotate_images: AnnotateConfig = Field(default_factory=AnnotateConfig, description="models that look at images")
    mine_pairs: MineConfig = Field(default_factory=MineConfig, description="pages to pairs")
    write_instructions: WriteConfig = Field(default_factory=WriteConfig, description="pairs to texts")
    verify_triplets: VerifyConfig = Field(default_factory=VerifyConfig, description="triplets to verdicts")
    publish_dataset: PublishConfig = Field(default_factory=PublishConfig, description="triplets to a dataset")


def presets() -> list[str]:
    """Names of the presets."""
    return sorted(
        one.name.removesuffix(".yaml") for one in files("lensmith.presets").iterdir() if one.name.endswith(".yaml")
    )


def load_settings(preset: str, file: Path | None = None, options: Mapping[str, Any] | None = None) -> Settings:
    """A preset, a user's YAML file over it, options (nested like the file) over both.

    Raises ConfigurationError with the mend: an unknown preset or key, a value out of range, a file that is no YAML.
    """
    if preset not in presets():
        raise ConfigurationError(f"there is no preset {preset!r}: choose one of {', '.join(presets())}.")
    merged = _mapping(files("lensmith.presets").joinpath(f"{preset}.yaml").read_text(), f"preset {preset}")
    if file is not None:
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot read the configuration {file}: {error}.") from error
        merged = overlay(merged, _mapping(text, str(file)))
    merged = overlay(merged, options or {})
    policy = merged.get("opt_out")
    if policy is not None:
        for stage in ("extract_pages", "fetch_images", "mine_pairs"):
            merged = overlay({stage: {"opt_out": policy}}, merged)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise ConfigurationError(_mend(error, file)) from error


def overlay(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `under`, sections key by key."""
    result = dict(under)
    for key, value in over.items():
        below = result.get(key)
        result[key] = overlay(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _mapping(text: str, name: str) -> dict[str, Any]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{name} is no YAML: {' '.join(str(error).split())}.") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigurationError(f"{name} must hold a mapping of sections, such as `mine_pairs:`.")
    return data


def _mend(error: ValidationError, file: Path | None) -> str:
    """The first fault in a sentence, with what would be right."""
    fault = error.errors()[0]
    place = [str(part) for part in fault["loc"]]
    where = f" in {file}" if file else ""
    if fault["type"] == "extra_forbidden":
        section = _section(place[:-1])
        known = sorted(section.model_fields) if section else []
        return f"unknown key {'.'.join(place)!r}{where}: the keys there are {', '.join(known)}."
    return f"{'.'.join(place) or 'the configuration'}{where}: {fault['msg']} (given: {fault['input']!r})."


def _section(place: list[str]) -> type[BaseModel] | None:
    model: type[BaseModel] = Settings
    for part in place:
        field = model.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return None
        model = field.annotation
    return model
