"""Chat models of transformers: how they are loaded, and how a request becomes their input."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jinja2 import TemplateError
from PIL import Image

from schemas.errors import ConfigurationError, MissingPackageError
from schemas.image_files import BrokenImageError
from synthesis.config import WriterConfig
from synthesis.writers.chat_templates import ChatTemplate
from synthesis.writers.checkpoints import GRID_MODELS, INSTALL_TORCHVISION, Checkpoint, checkpoint_of
from synthesis.writers.encoded_images import decode_image
from synthesis.writers.enforced_json import BadSchemaError, Enforcer
from synthesis.writers.grid_processor import GridProcessor

_LOADING = (OSError, ValueError, KeyError, ImportError)
#: Settings of sampling that a model may bring along: requests bring their own.
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "max_length")


class BadRequestError(ValueError):
    """A request that cannot be put to the model: `no_images`, `bad_image`, `bad_prompt`,
    `bad_schema`, `too_long`."""


@dataclass(frozen=True)
class Prepared:
    """A request as tensors: `tokens` int64 (tokens) each, `input_ids` among them; `others`, such as pixels, join those
    of other requests in their first dimension. `matcher` enforces its schema; None leaves that to the prompt."""

    tokens: Mapping[str, Any]
    others: Mapping[str, Any]
    matcher: Any = None


class ChatModel:
    """A causal LM or an image-text-to-text model with its tokenizer or processor and chat template."""

    def __init__(self, config: WriterConfig) -> None:
        """Raises MissingPackageError, ConfigurationError."""
        try:
            import torch
            import transformers
            from transformers.utils.logging import disable_progress_bar
        except ImportError as error:
            raise MissingPackageError(error.name or "transformers", "hub", "the backend transformers") from error
        disable_progress_bar()
        torch.set_num_threads(config.threads)
        self._transformers = transformers
        self._checkpoint = checkpoint_of(config)
        self.name = self._checkpoint.name
        self.device = config.device
        settings = self._load("AutoConfig")
        self._sees = type(settings) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        if not self._sees and type(settings) not in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
            raise ConfigurationError(f"{self.name!r} ({settings.model_type}) is no language model: name a chat model.")
        self._processor = self._make_processor(settings) if self._sees else None
        self.tokenizer = self._processor.tokenizer if self._processor else self._load("AutoTokenizer")
        self._template = ChatTemplate(self.name, self.tokenizer, self._processor)
        text = settings.get_text_config()
        self.context: int | None = getattr(text, "max_position_embeddings", None)
        self._vocabulary = int(text.vocab_size)
        if self._sees:
            self._try_an_image()
        self.model = self._load_model()
        self.revision = str(getattr(self.model.config, "_commit_hash", None) or self._checkpoint.revision or "local")
        ends = self.model.generation_config.eos_token_id
        ends = ends if isinstance(ends, (list, tuple)) else [ends]
        self.ends = frozenset(one for one in (*ends, self.tokenizer.eos_token_id) if one is not None)
        pad = self.tokenizer.pad_token_id
        self.pad: int = pad if pad is not None else min(self.ends, default=0)

    def generation(self, tokens: int) -> Any:
        """The model's own settings for writing (a repetition penalty, for one), greedy, with at most so many tokens."""
        settings = copy.deepcopy(self.model.generation_config)
        settings.update(do_sample=False, num_beams=1, **dict.fromkeys(_SAMPLING))
        settings.update(max_new_tokens=tokens, eos_token_id=sorted(self.ends) or None, pad_token_id=self.pad)
        return settings

    def prepare(self, request: Mapping[str, Any]) -> Prepared:
        """A request as the model takes it. Raises BadRequestError."""
        messages, pictures = self._messages(request)
        try:
            text = self._template.render(messages)
            tensors = self._tensors(text, pictures)
        except TemplateError as error:
            raise BadRequestError(f"bad_prompt: {' '.join(str(error).split())[:200]}") from error
        except ValueError as error:
            name = "bad_image" if pictures else "bad_prompt"
            raise BadRequestError(f"{name}: {' '.join(str(error).split())[:200]}") from error
        shape = tensors["input_ids"].shape
        count, wanted = int(shape[1]), int(request["parameters"]["max_tokens"])
        if self.context is not None and count + wanted > self.context:
            raise BadRequestError(
                f"too_long: {count} tokens and {wanted} for the answer, where the model takes {self.context}"
            )
        tokens = {name: value[0] for name, value in tensors.items() if value.shape == shape}
        others = {name: value for name, value in tensors.items() if name not in tokens}
        return Prepared(tokens, others, self._matcher(request["parameters"].get("schema")))

    def _matcher(self, schema: Mapping[str, Any] | None) -> Any:
        if schema is None or self._enforcer is None:
            return None
        try:
            return self._enforcer.matcher(schema)
        except BadSchemaError as error:
            raise BadRequestError(f"bad_schema: {error}") from error

    @cached_property
    def _enforcer(self) -> Enforcer | None:
        try:
            return Enforcer(self.tokenizer, self._vocabulary, self.ends)
        except (ImportError, ValueError):
            return None

    def _messages(self, request: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[Image.Image]]:
        """Messages in the form of the template, and the pictures in the order in which they are shown."""
        images: Sequence[bytes] = request.get("images") or ()
        shown: list[int] = []
        messages: list[dict[str, Any]] = []
        for message in request["messages"]:
            given = message["content"]
            parts: Sequence[Mapping[str, Any]] = [{"type": "text", "text": given}] if isinstance(given, str) else given
            content: list[dict[str, str]] = []
            for part in parts:
                if part["type"] == "image":
                    shown.append(part["image"])
                    content.append({"type": "image"})
                else:
                    content.append({"type": "text", "text": self._template.harmless(part["text"])})
            messages.append({"role": message["role"], "content": content})
        if shown and not self._sees:
            raise BadRequestError(f"no_images: the model {self.name!r} reads text only")
        if any(not 0 <= index < len(images) for index in shown):
            raise BadRequestError("bad_image: the prompt shows an image that the request does not have")
        try:
            return messages, [decode_image(images[index]) for index in shown]
        except BrokenImageError as error:
            raise BadRequestError(f"bad_image: {error}") from error

    def _tensors(self, text: str, pictures: Sequence[Image.Image]) -> dict[str, Any]:
        begin = self.tokenizer.bos_token
        # Templates of text models write all control tokens themselves; some processors leave the first one out.
        special = self._sees and not (begin and text.startswith(begin))
        if self._processor is None:
            found = self.tokenizer([text], return_tensors="pt", add_special_tokens=special)
            return {name: found[name] for name in ("input_ids", "attention_mask")}
        shown = [list(pictures)] if pictures else None
        return dict(self._processor(images=shown, text=[text], return_tensors="pt", add_special_tokens=special))

    def _try_an_image(self) -> None:
        """What a processor lacks shows before the first request."""
        sink = io.BytesIO()
        Image.new("RGB", (64, 48)).save(sink, "PNG")
        content = [{"type": "image", "image": 0}, {"type": "text", "text": "What is this?"}]
        request = {
            "messages": [{"role": "user", "content": content}],
            "images": [sink.getvalue()],
            "parameters": {"max_tokens": 1},
        }
        try:
            shown = self.prepare(request)
        except (BadRequestError, TypeError, AttributeError, KeyError, IndexError, ImportError) as error:
            if "torchvision" in str(error).lower():
                raise _wants_torchvision(self.name) from error
            raise ConfigurationError(
                f"the processor of {self.name!r} shows no image in a prompt: {' '.join(str(error).split())[:200]}."
            ) from error
        if not shown.others:
            raise ConfigurationError(
                f"the processor of {self.name!r} passes no image on: name a model that sees images."
            )

    def _make_processor(self, settings: Any) -> Any:
        if settings.model_type in GRID_MODELS:
            return GridProcessor(
                self._load("AutoImageProcessor"), self._load("AutoTokenizer"), int(settings.image_token_id)
            )
        return self._load("AutoProcessor")

    def _load_model(self) -> Any:
        import torch

        kind = "AutoModelForImageTextToText" if self._sees else "AutoModelForCausalLM"
        # Whatever precision it was saved in: half precision on a CPU is slow or missing.
        precision = torch.float32 if self.device == "cpu" else "auto"
        model, found = self._load(kind, dtype=precision, output_loading_info=True)
        if found["missing_keys"]:
            raise ConfigurationError(
                f"the model {self.name!r} lacks weights of a language model, such as {min(found['missing_keys'])}: "
                "name a chat model."
            )
        try:
            return model.eval().to(self.device)
        except RuntimeError as error:
            raise ConfigurationError(f"cannot use the device {self.device!r}: {error}") from error

    def _load(self, kind: str, **options: Any) -> Any:
        source: Checkpoint = self._checkpoint
        try:
            return getattr(self._transformers, kind).from_pretrained(source.source, revision=source.revision, **options)
        except _LOADING as error:
            if "torchvision" in str(error).lower():
                raise _wants_torchvision(self.name) from error
            reason = " ".join(str(error).split())[:300]
            raise ConfigurationError(f"cannot load {kind} of the model {self.name!r}: {reason}") from error


def _wants_torchvision(name: str) -> ConfigurationError:
    return MissingPackageError("torchvision", "hub", f"the processor of {name!r}", INSTALL_TORCHVISION)
