"""What a preset needs of a machine, and the exact line that mends what is missing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass

from lensmith.requirements import AskedModel, Requirement, asked_models, needs_of
from lensmith.settings import STAGES, Settings
from synthesis.writers.checkpoints import model_type


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    mend: str = ""


#: What every installation has, and what the commands on datasets and models need.
_ALWAYS = (
    Requirement("apache-beam", "apache_beam", "", "running jobs"),
    Requirement("pyarrow", "pyarrow", "", "tables"),
    Requirement("fastwarc", "fastwarc", "", "reading archives"),
    Requirement("selectolax", "selectolax", "", "parsing pages"),
    Requirement("img2dataset", "img2dataset", "fetch", "fetching images"),
    Requirement("datasets", "datasets", "publish", "loading a dataset"),
    Requirement("huggingface-hub", "huggingface_hub", "publish", "pushing a dataset"),
    Requirement("mlcroissant", "mlcroissant", "publish", "checking croissant.json"),
    Requirement("torch", "torch", "train", "training"),
)


def check(settings: Settings) -> list[Finding]:
    """Look at the interpreter, the disks, and the packages that these settings need."""
    findings = [_python(), _disk("here", "."), _disk("for temporary files", tempfile.gettempdir())]
    wanted = {one.distribution: one for one in (*_ALWAYS, *needs_of(settings, STAGES))}
    findings += [_package(one) for one in wanted.values()]
    models = (_model(one) for one in asked_models(settings, STAGES))
    return findings + list(dict.fromkeys(one for one in models if one is not None))


def _model(asked: AskedModel) -> Finding | None:
    """What a task's model still needs beside packages: tasks with the same model say the same."""
    config = asked.config
    if config.backend == "openai" and not config.base_urls:
        line = f"write `{asked.stage}: {{base_url: http://HOST:PORT/v1}}` into the file for --config"
        return Finding("address of the endpoint", False, line)
    if asked.mend_file:
        return Finding(f"model {config.model} at {config.model_file}", False, f"{asked.mend_file} in model_file")
    if config.backend != "transformers":
        return None
    kind = model_type(config)
    if kind is None and config.model_file:
        return Finding(f"model {config.model}", False, "give a folder that has config.json and the weights of a model")
    return Finding(f"model {config.model}" + (f" ({kind})" if kind else ": comes from the hub at its first use"), True)


def _python() -> Finding:
    right = (3, 11) <= sys.version_info < (3, 14)
    return Finding(f"Python {platform.python_version()}", right, "use Python 3.11 to 3.13: uv venv --python 3.11")


def _disk(name: str, path: str) -> Finding:
    free = shutil.disk_usage(path).free
    place = os.path.abspath(path)
    mend = f"free at least a gigabyte below {place}"
    return Finding(f"{free / 1e9:.0f} GB free {name}", free > 1 << 30, mend)


def _package(one: Requirement) -> Finding:
    found = one.installed
    return Finding(f"{one.distribution} {found or ''}".rstrip(), found is not None, one.mend)
