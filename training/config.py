"""The settings of a training: model, data, objectives, and how it runs, in one stage or several."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.errors import ConfigurationError
from training.objectives.config import ObjectivesConfig


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TowersConfig(_Section):
    """Which towers a model stands on, and how much of them is trained."""

    image_tower: str = Field(
        default="efficientnet-lite0",
        description="`efficientnet-lite0`, or a CLIP-like model: name or folder",
    )
    text_tower: str | None = Field(
        default="all-MiniLM-L6-v2",
        description="`all-MiniLM-L6-v2`, or a model: name or folder; null is the other half of the image tower's",
    )
    tokens: bool = Field(default=False, description="fuse token sequences, not only one vector of each tower")
    train_towers: Literal["none", "last", "all"] = Field(
        default="none", description="frozen with features computed once; their last layers; or all of them"
    )
    trained_layers: int = Field(default=2, ge=1, description="layers of each tower that `last` trains")
    keep_towers: Literal["none", "folders", "all"] = Field(
        default="folders",
        description="frozen towers that are saved with the model: none, those that came from a folder, or all",
    )


class FusionConfig(TowersConfig):
    """MagicLens' fusion."""

    kind: Literal["fusion"] = "fusion"
    width: int = Field(default=384, ge=1, description="width of the fusion layers and of the embeddings")
    layers: int = Field(default=4, ge=1, description="self-attention layers")
    heads: int = Field(default=6, ge=1, description="attention heads; they must divide the width")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout of the fusion layers")
    residual: bool = Field(
        default=True, description="what the towers say goes around the layers; false is MagicLens as published"
    )
    text_weight: float = Field(
        default=0.3,
        gt=0,
        description="length of the text beside the image's 1 in what goes around the layers: less where texts say "
        "little of images",
    )
    empty_text: Literal["masked", "encoded"] = Field(
        default="masked",
        description="the empty text of a target is left out, or goes through the text tower as MagicLens has it",
    )

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> FusionConfig:
        if self.width % self.heads:
            raise ValueError("heads must divide width")
        return self


class SumConfig(TowersConfig):
    """Image embedding plus text embedding."""

    kind: Literal["sum"] = "sum"
    width: int | None = Field(
        default=384, ge=1, description="width of the linear maps; null adds the towers' vectors as they are"
    )
    text_weight: float = Field(
        default=1.0, gt=0, description="length of the text beside the image's 1: less where texts say little of images"
    )


class LoraSettings(_Section):
    """Low-rank matrices beside the weights of a language model, which alone are trained of it (LoRA)."""

    rank: int = Field(default=16, ge=1, description="rank of the matrices")
    alpha: float = Field(default=32.0, gt=0, description="what they add is multiplied by alpha / rank")
    dropout: float = Field(default=0.05, ge=0, lt=1, description="dropout before them")
    targets: list[str] | None = Field(
        default=None, description="last names of the linear layers that get them, such as q_proj; null is all"
    )


class LlmConfig(_Section):
    """A language model as embedder."""

    kind: Literal["llm"] = "llm"
    language_model: str = Field(
        default="SmolLM2-135M-Instruct",
        description="`SmolLM2-135M-Instruct`, or a causal or an image-text-to-text model: name or folder",
    )
    image_tower: str | None = Field(
        default="efficientnet-lite0",
        description="tower that sees images for a model of texts; null for a model that sees them by itself",
    )
    tokens: bool = Field(default=False, description="show the tower's token sequence, not only its one vector")
    image_places: int = Field(
        default=4, ge=1, description="places in the prompt that are made of the tower's one vector"
    )
    train_towers: Literal["none", "last", "all"] = Field(
        default="none", description="the image tower frozen with features computed once; its last layers; or all of it"
    )
    trained_layers: int = Field(default=2, ge=1, description="layers of the image tower that `last` trains")
    keep_towers: Literal["none", "folders", "all"] = Field(
        default="none",
        description="language model and frozen tower that are saved with the model: none, those of folders, or all",
    )
    lora: LoraSettings | None = Field(
        default_factory=LoraSettings, description="how the language model is trained; null leaves it as it is"
    )
    pooling: Literal["last", "mean"] = Field(
        default="last", description="the embedding is the last token's hidden state, or the mean of all"
    )
    width: int | None = Field(
        default=None, ge=1, description="width of a linear map behind it; null is the language model's own width"
    )
    query: str = Field(
        default="{image}\nFind the picture that this one becomes when it is changed as follows: {text}",
        description="prompt of an image with a text",
    )
    target: str = Field(default="{image}\nFind this picture.", description="prompt of an image alone")
    text: str = Field(default="Find a picture of the following: {text}", description="prompt of a text alone")
    chat: bool = Field(default=True, description="prompts stand in the model's chat template, where it has one")
    max_text_tokens: int = Field(default=96, ge=1, description="tokens of a text that are read")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="of the language model's own weights; what is trained is in float32"
    )

    @model_validator(mode="after")
    def _prompts_show_what_they_are_given(self) -> LlmConfig:
        for name, marks in (("query", ("{image}", "{text}")), ("target", ("{image}",)), ("text", ("{text}",))):
            prompt = getattr(self, name)
            if any(prompt.count(mark) != (mark in marks) for mark in ("{image}", "{text}")):
                raise ValueError(f"{name} must hold {' and '.join(marks)} once, and no other")
        return self


ModelConfig = Annotated[FusionConfig | SumConfig | LlmConfig, Field(discriminator="kind")]


class TextsConfig(_Section):
    """Which texts of a triplet are trained on."""

    choose: Literal["best", "sampled"] = Field(
        default="best", description="the first text of a triplet, or another one each time the triplet is met"
    )
    per_row: int = Field(default=1, ge=1, description="texts of a triplet in one step, each a query of its own")
    only: dict[str, list[str]] = Field(
        default={}, description="columns of `instructions` and the values that are taken, such as {length: [short]}"
    )


class DataConfig(_Section):
    """What a dataset's rows become."""

    split: str = Field(default="train", description="the split that is trained on")
    images: Path | None = Field(
        default=None,
        description="folder at which image paths begin, for layouts other than Lensmith's; null is the dataset's own",
    )
    where: dict[str, Any] = Field(
        default={},
        description="columns of `ids` and what they must be: a list of values, or {min: 0.3, max: 0.8}",
    )
    triplets: Path | None = Field(
        default=None, description="text file of triplet ids, one a line: only these are used; null is all"
    )
    fraction: float = Field(default=1.0, gt=0, le=1, description="share of the pages that are used, chosen by hash")
    texts: TextsConfig = Field(default_factory=TextsConfig, description="which texts of a triplet")
    pages: Literal["distinct", "same", "any"] = Field(
        default="distinct",
        description="never two rows of one page in a batch, batches of whole pages (hard), or whatever comes",
    )
    hide: Literal["none", "image", "text"] = Field(
        default="none", description="a half of every query that is not shown: what the controls are trained without"
    )
    window: int = Field(
        default=50_000, ge=1, description="rows that are shuffled together and held at once; more are read in turns"
    )
    workers: int = Field(default=0, ge=0, description="processes that load and decode ahead")
    augment: Literal["none", "crop", "strong"] = Field(
        default="none", description="how pictures are varied where towers are trained"
    )


class RunConfig(_Section):
    """How long, how large, how fast."""

    steps: int = Field(default=300, ge=1, description="optimizer steps")
    batch: int = Field(default=64, ge=1, description="triplets of a step, over all processes")
    chunk: int | None = Field(
        default=None,
        ge=1,
        description="items that are embedded at once in a step of a large batch (GradCache); null is all",
    )
    accumulate: int = Field(default=1, ge=1, description="batches whose gradients are added before a step")
    learning_rate: float = Field(default=3e-4, gt=0, description="peak: a tenth of the steps up, half a cosine down")
    tower_learning_rate: float | None = Field(default=None, gt=0, description="peak for the towers; null is the same")
    warmup: float = Field(default=0.1, ge=0, lt=1, description="share of the steps until the peak")
    weight_decay: float = Field(default=0.05, ge=0, description="weight decay of AdamW")
    max_gradient: float = Field(default=1.0, gt=0, description="norm to which gradients are cut")
    bf16: bool = Field(default=False, description="bfloat16 where it is safe")
    activation_checkpointing: bool = Field(default=False, description="compute activations twice to save memory")
    checkpoint_steps: int = Field(default=100, ge=1, description="steps after which --resume can go on")
    evaluate_steps: int | None = Field(
        default=None, ge=1, description="steps after which the validation split is scored; null is never"
    )
    metric: str = Field(default="R@10", description="the evaluator's metric that says which checkpoint is best")
    patience: int | None = Field(
        default=None, ge=1, description="evaluations without a better metric after which training stops"
    )
    log_steps: int = Field(default=10, ge=1, description="steps after which loss, rate and speed are said")
    report_to: list[str] = Field(default=["tensorboard"], description="loggers of transformers' Trainer; [] is none")
    seed: int = Field(default=0, ge=0, description="decides weights, batches and dropout")
    threads: int | None = Field(default=2, ge=1, description="threads of torch; another number may move the last bits")


class StageConfig(_Section):
    """A stage of a training: what it changes of `objectives`, `data` and `run`, and what of the model is trained."""

    name: str = Field(description="its name in progress and report")
    objectives: ObjectivesConfig | None = Field(default=None, description="objectives in place of the training's")
    data: dict[str, Any] = Field(default={}, description="keys of `data` in place of the training's")
    run: dict[str, Any] = Field(default={}, description="keys of `run` in place of the training's")
    train: list[str] = Field(
        default=[], description="beginnings of the names of the parameters that are trained; empty is all that may be"
    )


class TrainConfig(_Section):
    """Settings of a training."""

    model: ModelConfig = Field(default_factory=FusionConfig, description="the model")
    data: DataConfig = Field(default_factory=DataConfig, description="what of the dataset is used, and how")
    objectives: ObjectivesConfig = Field(default_factory=ObjectivesConfig, description="what is optimised, in sum")
    run: RunConfig = Field(default_factory=RunConfig, description="steps, batches, rates, loggers")
    stages: list[StageConfig] = Field(default=[], description="one after the other; empty is a single one")

    @field_validator("model", mode="before")
    @classmethod
    def _fusion_is_the_default(cls, given: Any) -> Any:
        return {"kind": "fusion", **given} if isinstance(given, Mapping) else given


def train_config(settings: Mapping[str, Any]) -> TrainConfig:
    """Settings as a configuration. Raises ConfigurationError that names the key."""
    try:
        return TrainConfig(**settings)
    except ValidationError as error:
        raise ConfigurationError(mend(error)) from error


def mend(error: ValidationError) -> str:
    """The first fault in a sentence."""
    fault = error.errors()[0]
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key {name!r} in the training configuration: docs/training.md lists the keys."
    return f"{name} in the training configuration: {fault['msg']} (given: {fault['input']!r})."
