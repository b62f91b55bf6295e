"""Retrievers by their configuration, and as folders."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from schemas.errors import ConfigurationError
from training.config import ModelConfig
from training.models.assets import ROLES, Assets
from training.models.fusion import Fusion
from training.models.interface import Retriever
from training.models.llm import Llm
from training.models.sum import Sum
from training.own_files import write_whole

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
_FORMAT = "lensmith-retriever"
_KINDS: dict[str, Any] = {one.kind: one for one in (Fusion, Sum, Llm)}


def make_retriever(config: Any, assets: Assets | None = None) -> Retriever:
    """An untrained retriever of a configuration; with assets, those of a saved one, whose towers are built of them.

    Raises ConfigurationError for a backbone that cannot be found."""
    model: Retriever = _KINDS[config.kind](config, assets)
    return model


def save_pretrained(model: Retriever, folder: Path, about: dict[str, Any] | None = None) -> None:
    """Write weights and, last, the description with `about` (how it was trained)."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION).unlink(missing_ok=True)
    for role in ROLES:
        shutil.rmtree(folder / role, ignore_errors=True)
    model.save_assets(folder)
    state = {name: value.contiguous() for name, value in model.saved_state().items()}
    save_file(state, str(folder / f"{WEIGHTS}.part"), metadata={"format": "pt"})
    os.replace(folder / f"{WEIGHTS}.part", folder / WEIGHTS)
    described = {"format": _FORMAT, "model": model.config.model_dump(mode="json"), "towers": model.towers()}
    write_whole(folder / DESCRIPTION, json.dumps(described | (about or {}), indent=1))


def from_pretrained(source: str | Path) -> Retriever:
    """The model in a folder that `save_pretrained` wrote, or of the Hugging Face hub by name, in evaluation mode.

    Raises ConfigurationError for a folder that holds no such model, and for towers that are no longer where they were.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = _local(source)
    try:
        about = read_description(folder)
        assets = Assets(folder, about["towers"])
        model = make_retriever(TypeAdapter[Any](ModelConfig).validate_python(assets.sources(about["model"])), assets)
        missing, unexpected = model.load_state_dict(load_file(str(folder / WEIGHTS)), strict=False)
        if unexpected or set(missing) & set(model.saved_state()):
            raise ValueError("weights of another model")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError, ValidationError) as error:
        raise _no_model(folder) from error
    return model.eval()


def read_description(folder: Path) -> dict[str, Any]:
    """What `save_pretrained` says of a model. Raises ConfigurationError."""
    try:
        about = json.loads((folder / DESCRIPTION).read_text())
    except (OSError, ValueError) as error:
        raise _no_model(folder) from error
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise _no_model(folder)
    return about


def _no_model(folder: Path) -> ConfigurationError:
    return ConfigurationError(f"{folder} holds no model of Lensmith: give the --output of `lensmith train`.")


def _local(source: str | Path) -> Path:
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(source)))
    except (OSError, HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise _no_model(Path(source)) from error
