"""onnxruntime sessions: models from packages, converted once and kept in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from schemas.errors import ConfigurationError, MissingPackageError

#: Raised when equal weights are converted otherwise.
_CONVERTER = "1"
_WHY = "the preset local"


def cache_folder() -> Path:
    """Where converted models are kept: `LENSMITH_CACHE`, else `lensmith` in the user's cache folder."""
    own = os.environ.get("LENSMITH_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lensmith"


def converted(name: str, source: Path, convert: Callable[[Path], None]) -> Path:
    """The ONNX file that `convert` makes of `source`, made once for each content of it and version of torch.

    Processes that convert at once each do it; the last rename wins, with an equal file. Raises ConfigurationError
    where the cache cannot be written."""
    try:
        maker = version("torch")
    except PackageNotFoundError as error:
        raise MissingPackageError("torch", "local", f"converting the models of {_WHY}") from error
    key = hashlib.sha256(f"{_CONVERTER} {maker} {_content_digest(source)}".encode()).hexdigest()[:16]
    path = cache_folder() / "onnx" / f"{name}-{key}.onnx"
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".converting-") as scratch:
            made = Path(scratch) / path.name
            convert(made)
            os.replace(made, path)
    except OSError as error:
        raise ConfigurationError(
            f"cannot keep a converted model in {path.parent}: {error.strerror or error}; "
            "set LENSMITH_CACHE to a folder that can be written."
        ) from error
    return path


def _content_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def session(path: Path, threads: int) -> Any:
    """An onnxruntime session in fp32 on the CPU, whose bits do not depend on batch or threads."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError("onnxruntime", "local", _WHY) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    # A spinning pool starves whatever else runs on a small machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def conversion_torch() -> Any:
    """torch, which conversions alone need. Raises MissingPackageError."""
    try:
        import torch
    except ImportError as error:
        raise MissingPackageError("torch", "local", f"converting the models of {_WHY}") from error
    return torch


def export(module: Any, arguments: tuple[Any, ...], path: Path, inputs: list[str], outputs: list[str]) -> None:
    """Write a torch module as ONNX whose first axis (and of ids and masks the second) may have any length."""
    torch = conversion_torch()
    axes = {name: {0: "batch", 1: "tokens"} if name in ("ids", "mask") else {0: "batch"} for name in inputs}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, arguments, str(path), input_names=inputs, output_names=outputs, dynamic_axes=axes, dynamo=False
        )
