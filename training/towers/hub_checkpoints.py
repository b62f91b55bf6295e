"""Checkpoints of transformers by name or folder: what they are called, which weights they hold, how they are loaded."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError, MissingPackageError

_LOADING = (OSError, ValueError, KeyError, ImportError)
_WEIGHTS = ("*.safetensors", "*.bin", "config.json")
#: A revision of weights in a folder begins so; the digest of their files follows.
LOCAL = "local"


def transformers_module(why: str) -> Any:
    """transformers, quiet. Raises MissingPackageError."""
    try:
        import transformers
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise MissingPackageError("transformers", "train", why) from error
    disable_progress_bar()
    return transformers


def load_checkpoint(kind: str, source: str, **options: Any) -> Any:
    """What a class of transformers makes of a folder, or of `NAME` or `NAME@REVISION` of the hub.

    Raises ConfigurationError that says what to do offline, MissingPackageError.
    """
    name, _, revision = (source, "", "") if Path(source).is_dir() else source.partition("@")
    module = transformers_module("a backbone of transformers")
    try:
        return getattr(module, kind).from_pretrained(name, revision=revision or None, **options)
    except _LOADING as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigurationError(
            f"cannot load {kind} of the backbone {source!r}: give the folder of a downloaded model, or the name of one "
            f"while the Hugging Face hub can be reached ({reason})."
        ) from error


def plain_name(source: str) -> str:
    """A folder is named by its last part, a model of the hub without its revision."""
    return Path(source).resolve().name if Path(source).is_dir() else source.partition("@")[0]


def revision_of(source: str, config: Any) -> str:
    """Which weights these are: the hub's commit, or for a folder `local` with a digest of its files."""
    if Path(source).is_dir():
        return f"{LOCAL} {_files_digest(Path(source))}"
    return str(getattr(config, "_commit_hash", None) or source.partition("@")[2] or LOCAL)


def weights_of(source: str) -> str:
    """Where the weights lie: `folder` or `hub`."""
    return "folder" if Path(source).is_dir() else "hub"


def _files_digest(folder: Path) -> str:
    whole = hashlib.sha256()
    for path in sorted({path for pattern in _WEIGHTS for path in folder.glob(pattern)}):
        with path.open("rb") as file:
            whole.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()[:16]
