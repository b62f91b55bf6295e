"""A trained model as a folder of sentence-transformers."""

from __future__ import annotations

import shutil
from pathlib import Path

from schemas.errors import ConfigurationError, MissingPackageError

_CARD = "README.md"


def export_sentence_transformers(model: Path, output: Path) -> None:
    """Write the model in a folder so that `SentenceTransformer(output, trust_remote_code=True)` loads it where Lensmith
    is installed; the folder is still a model of Lensmith too.

    Raises ConfigurationError for a folder that holds no model and for an output that is not empty,
    MissingPackageError.
    """
    try:
        from sentence_transformers import SentenceTransformer

        from training.sentence_transformers_module import RetrieverModule
    except ImportError as error:
        raise MissingPackageError("sentence-transformers", "train", "exporting a model") from error
    module = RetrieverModule.load(str(model))
    try:
        output.mkdir(parents=True, exist_ok=True)
        if any(output.iterdir()):
            raise ConfigurationError(f"{output} is not empty: give --output a new folder.")
        whole = SentenceTransformer(modules=[module], device="cpu")
        whole.save_pretrained(str(output), create_model_card=False)
        if (model / _CARD).exists():
            shutil.copyfile(model / _CARD, output / _CARD)
    except OSError as error:
        raise ConfigurationError(f"cannot write {output}: {error.strerror or error}.") from error
