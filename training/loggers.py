"""Loggers of transformers' Trainer by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError, MissingPackageError


def loggers(names: Sequence[str], folder: Path) -> list[Any]:
    """Callbacks of transformers' Trainer; TensorBoard's writes to `folder`.

    Raises ConfigurationError for a name that is none, MissingPackageError for a logger that is not installed.
    """
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    made = []
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            known = ", ".join(sorted(INTEGRATION_TO_CALLBACK))
            raise ConfigurationError(f"run.report_to names {name!r}, which is no logger: there are {known}.")
        try:
            callback = INTEGRATION_TO_CALLBACK[name]()
        except (ImportError, RuntimeError) as error:
            mend = None if name == "tensorboard" else f"uv pip install {name.replace('_', '-')}"
            raise MissingPackageError(name, "train", f"run.report_to: [{name}]", mend) from error
        if name == "tensorboard":
            callback.logging_dir = str(folder)
        made.append(callback)
    return made
