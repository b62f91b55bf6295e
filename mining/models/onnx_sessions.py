"""onnxruntime sessions: models from packages, converted once and kept in the user's cache."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schemas.errors import MissingPackageError
from schemas.ids import digest


def cache_folder() -> Path:
    """Where converted models are kept: `LENSMITH_CACHE`, else `lensmith` in the user's cache folder."""
    own = os.environ.get("LENSMITH_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lensmith"


def package_file(package: str, extra: str, why: str, *parts: str) -> Path:
    """A file inside an installed package, found without importing it. Raises MissingPackageError."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackageError(package, extra, why)
    path = Path(spec.submodule_search_locations[0]).joinpath(*parts)
    if not path.exists():
        raise MissingPackageError(package, extra, why)
    return path


def converted(name: str, source: Path, convert: Callable[[Path], None]) -> Path:
    """The ONNX file that `convert` makes of `source`, made once for each content and version of the converter.

    Processes that convert at once do it twice, and the last rename wins with an equal file.
    """
    import onnxruntime
    import torch

    size = source.stat().st_size
    key = digest("onnx", name, str(size), source.name, torch.__version__, onnxruntime.__version__)[:16]
    path = cache_folder() / "onnx" / f"{name}-{key}.onnx"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        made = Path(scratch) / path.name
        convert(made)
        os.replace(made, path)
    return path


def session(path: Path, threads: int) -> Any:
    """An onnxruntime session in fp32 on the CPU, whose bits do not depend on the number of threads."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingPackageError("onnxruntime", "local", "the preset local") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning pool starves whatever else runs on a small machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=1)
def quiet_torch() -> Any:
    """torch, for conversions only."""
    try:
        import torch
    except ImportError as error:
        raise MissingPackageError("torch", "local", "converting the models of the preset local") from error
    return torch


def export(module: Any, arguments: tuple[Any, ...], path: Path, inputs: list[str], outputs: list[str]) -> None:
    """Write a torch module as ONNX whose first axis (and of ids the second) may have any length."""
    import contextlib
    import io
    import warnings

    torch = quiet_torch()
    axes = {name: {0: "batch", 1: "tokens"} if name in ("ids", "mask") else {0: "batch"} for name in inputs}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, arguments, str(path), input_names=inputs, output_names=outputs, dynamic_axes=axes, dynamo=False
        )
