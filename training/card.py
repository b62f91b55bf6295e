"""The card of a trained model: `README.md` with the YAML that the hub reads, and the text that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import yaml

from training.config import TrainConfig
from training.models.interface import Retriever
from training.stages import stages_of

_SCORE = "eval_"
#: How a dataset of the hub is named where it is read from there.
_HUB = "hf://datasets/"
_WEIGHTS = {
    "package": "from a package",
    "hub": "from the Hugging Face hub",
    "folder": "in a folder beside this model, whose path stands in `model.json`",
    "model": "saved in this folder",
}
_KINDS = {
    "fusion": "fusion layers over an image tower and a text tower",
    "sum": "the sum of an image tower's and a text tower's vectors",
    "llm": "a language model that reads prompts with images",
}


def model_card(
    config: TrainConfig,
    model: Retriever,
    facts: Mapping[str, Mapping[str, int]],
    history: Sequence[Mapping[str, Any]],
    dataset: str = "",
) -> str:
    """The card as text. `facts` are counts of each stage's data, `history` is what was logged, `dataset` where it was
    read. Nothing in it depends on clock, host or folders."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("training.report", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # The card is Markdown.
        autoescape=False,
    )
    environment.filters |= {"number": "{:,}".format, "percent": "{:.2f}".format, "cell": _cell}
    weights = list(model.parameters())
    stages = stages_of(config)
    towers = model.towers()
    return environment.get_template("model_card.md.jinja2").render(
        yaml=yaml.safe_dump(_metadata(model, dataset), sort_keys=False, allow_unicode=True, width=120),
        kind=model.kind,
        built=_KINDS[model.kind],
        width=model.width,
        parameters=sum(one.numel() for one in weights),
        trained=sum(one.numel() for one in weights if one.requires_grad),
        towers=[(role.replace("_", " "), one, _WEIGHTS[one["weights"]]) for role, one in towers.items()],
        hub_dataset=_hub_dataset(dataset),
        stages=[(one.name, facts.get(one.name, {}), one.run, _objectives(one.objectives)) for one in stages],
        scores=best_scores(history, config),
        settings=yaml.safe_dump(_without_folders(config.model_dump(mode="json")), sort_keys=False, allow_unicode=True),
    )


def best_scores(history: Sequence[Mapping[str, Any]], config: TrainConfig) -> dict[str, float]:
    """Scores in percent, by metric, of the checkpoint that the last stage kept; empty where none was scored."""
    stage = stages_of(config)[-1]
    name = _SCORE + stage.run.metric
    scored = [one for one in history if name in one and one.get("stage") == stage.name]
    if not scored:
        return {}
    best = max(scored, key=lambda one: (one[name], -one.get("step", 0)))
    return {key.removeprefix(_SCORE): float(value) for key, value in best.items() if key.startswith(_SCORE)}


def _metadata(model: Retriever, dataset: str) -> dict[str, Any]:
    bases = list(dict.fromkeys(one["name"] for one in model.towers().values() if one["weights"] == "hub"))
    found: dict[str, Any] = {"library_name": "lensmith", "pipeline_tag": "feature-extraction"}
    found["tags"] = ["composed-image-retrieval", "image-retrieval", "lensmith", model.kind]
    if bases:
        found["base_model"] = bases
    if hub := _hub_dataset(dataset):
        found["datasets"] = [hub]
    return found


def _hub_dataset(dataset: str) -> str:
    """`OWNER/NAME` of a dataset that is read from the hub, else nothing."""
    if not dataset.startswith(_HUB):
        return ""
    return "/".join(dataset.removeprefix(_HUB).partition("@")[0].split("/")[:2])


def _objectives(section: Any) -> list[tuple[str, float, str]]:
    """Name, weight and meaning of each objective that is used."""
    fields = type(section).model_fields
    used = [(name, getattr(section, name)) for name in fields]
    return [(name, one.weight, str(fields[name].description)) for name, one in used if one is not None]


def _without_folders(value: Any) -> Any:
    """Settings in which a folder or file is called by its last name: a card holds no paths."""
    if isinstance(value, Mapping):
        return {name: _without_folders(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_folders(one) for one in value]
    return Path(value).name if isinstance(value, str) and (Path(value).is_absolute() or Path(value).exists()) else value


def _cell(text: Any) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
