"""Which checkpoint of transformers a configuration names, and what models of its kind need; imports nothing heavy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import ConfigurationError
from synthesis.config import WriterConfig

#: Models whose processor is put together here: transformers' own wants torchvision for videos, which nobody asks for.
GRID_MODELS = frozenset({"qwen2_vl", "qwen2_5_vl", "qwen3_vl"})
#: Models whose processor is not made without torchvision, as transformers 5.23 has them: it also reads videos, or its
#: images go through torchvision alone.
TORCHVISION_MODELS = frozenset(
    """
    cohere2_vision cohere_compass cosmos3_edge diffusion_gemma dots3_note ernie4_5_vl_moe exaone4_5 gemma4
    gemma4_unified glm46v glm4v glm4v_moe glm5_next hyperclovax_vision_v2 inkling2 inkling_mm_model instructblipvideo
    internvl kimi_k25 lfm2_vl lfm3_vl llama4 llava_next_video llava_onevision minicpm_ocr minicpmv4_6 minicpmv4_7
    minimax_m3_vl mistral3 mistral_large4 molmo2 muse_glimmer muse_spark nemotron_h_omni perception_lm pi0
    pp_formulanet qwen3_5 qwen3_5_moe qwen3_vl_moe qwen4_exp smolvlm step3p7 unlimited_ocr video_llama_3 video_llava
    """.split()
)
INSTALL_TORCHVISION = "uv pip install torchvision"


@dataclass(frozen=True)
class Checkpoint:
    """`source` is what transformers loads (a folder, or a name on the hub), `name` what answers carry."""

    source: str
    revision: str | None
    name: str


def checkpoint_of(config: WriterConfig) -> Checkpoint:
    """The folder `model_file`, else the hub's `NAME` or `NAME@REVISION` in `model`. Raises ConfigurationError."""
    if config.model_file is not None:
        if not Path(config.model_file).is_dir():
            raise ConfigurationError(
                f"there is no model_file {config.model_file!r}: the backend transformers takes the folder of a model."
            )
        return Checkpoint(config.model_file, None, config.model)
    if Path(config.model).is_dir():
        raise ConfigurationError(
            f"the model {config.model!r} is a folder here: name the folder in model_file, and in model how answers "
            "shall call it."
        )
    name, _, revision = config.model.partition("@")
    return Checkpoint(name, revision or None, name)


def model_type(config: WriterConfig) -> str | None:
    """The `model_type` of a checkpoint's config.json; None where that is not on this machine yet, or says nothing."""
    try:
        checkpoint = checkpoint_of(config)
        path = _settings_file(checkpoint)
        found = json.loads(path.read_text(encoding="utf-8")).get("model_type") if path else None
    except (ConfigurationError, OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _settings_file(checkpoint: Checkpoint) -> Path | None:
    if Path(checkpoint.source).is_dir():
        return Path(checkpoint.source) / "config.json"
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(checkpoint.source, "config.json", revision=checkpoint.revision)
    return Path(found) if isinstance(found, str) else None
