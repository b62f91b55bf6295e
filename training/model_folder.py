"""A model's folder: weights, a description, and while it is trained a checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from schemas.errors import ConfigurationError
from training.fusion_model import FusionModel

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
CHECKPOINT = "checkpoint.pt"
_KIND = "lensmith-fusion"
_OWN = frozenset({WEIGHTS, DESCRIPTION, CHECKPOINT})


def prepare(folder: Path) -> None:
    """Make the folder. Raises ConfigurationError for one that holds anything but a model of ours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = sorted(one.name for one in folder.iterdir() if one.name.removesuffix(".part") not in _OWN)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be the model's folder: {error.strerror}.") from error
    if foreign:
        raise ConfigurationError(f"{folder} holds {foreign[0]!r}: give --output an empty folder or one of a model.")


def save(model: FusionModel, folder: Path, config: BaseModel, towers: Mapping[str, Any]) -> None:
    """Write weights and, last, a description; `config` is that of the training, `towers` say which models made the
    features. A checkpoint is removed."""
    from safetensors.torch import save_file

    prepare(folder)
    (folder / DESCRIPTION).unlink(missing_ok=True)
    save_file(model.state_dict(), str(folder / f"{WEIGHTS}.part"))
    os.replace(folder / f"{WEIGHTS}.part", folder / WEIGHTS)
    about = {"kind": _KIND, "model": model.settings, "training": config.model_dump(mode="json")}
    about["towers"] = dict(towers)
    (folder / f"{DESCRIPTION}.part").write_text(json.dumps(about, indent=1))
    os.replace(folder / f"{DESCRIPTION}.part", folder / DESCRIPTION)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def load(folder: Path) -> tuple[FusionModel, dict[str, Any]]:
    """Read what `save` wrote. Raises ConfigurationError for a folder that holds no model of ours."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        about = json.loads((folder / DESCRIPTION).read_text())
        if not isinstance(about, dict) or about.get("kind") != _KIND:
            raise ValueError("another kind of model")
        model = FusionModel(**about["model"])
        model.load_state_dict(load_file(str(folder / WEIGHTS)))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ConfigurationError(
            f"{folder} holds no model of Lensmith: give the --output of `lensmith train`."
        ) from error
    return model.eval(), about


def write_checkpoint(folder: Path, step: int, about: str, parts: Mapping[str, Any], scale: torch.nn.Parameter) -> None:
    """Keep the state after `step` steps; `parts` have `state_dict`."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: part.state_dict() for name, part in parts.items()}
    torch.save({"step": step, "about": about, "scale": scale.detach(), "state": state}, folder / f"{CHECKPOINT}.part")
    os.replace(folder / f"{CHECKPOINT}.part", folder / CHECKPOINT)


def read_checkpoint(folder: Path, about: str, parts: Mapping[str, Any], scale: torch.nn.Parameter) -> int:
    """Restore the state and say after how many steps it was kept; 0 where there is none.

    Raises ConfigurationError for a checkpoint of another training.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return 0
    kept = torch.load(path, weights_only=True)
    if kept["about"] != about:
        raise ConfigurationError(
            f"{path} is of another dataset or other settings: train without --resume, or give another --output."
        )
    for name, part in parts.items():
        part.load_state_dict(kept["state"][name])
    with torch.no_grad():
        scale.copy_(kept["scale"])
    return int(kept["step"])
