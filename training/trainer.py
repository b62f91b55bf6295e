"""transformers' Trainer over whole batches by step: cached losses, chance by step, faults with a sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from schemas.errors import RunFailedError
from training.cached_loss import cached_loss
from training.config import RunConfig
from training.data.step_batches import StepBatches, Steps, only
from training.learner import Learner
from training.objectives.interface import Step

#: Weights that are not decayed, as in CLIP and its kin: one dimension or less.
_DECAYED = 2


class StepTrainer(Trainer):
    """Trains a `Learner` on `StepBatches`. `validate` gives the metrics of the evaluator, by name, in percent."""

    def __init__(
        self,
        learner: Learner,
        batches: StepBatches,
        config: RunConfig,
        arguments: TrainingArguments,
        validate: Callable[[], dict[str, float]] | None = None,
        callbacks: list[Any] | None = None,
    ) -> None:
        self._config, self._validate = config, validate
        self.optimizer: Any
        self.control: Any
        self.loading, self.computing = 0.0, 0.0
        super().__init__(
            model=learner,
            args=arguments,
            train_dataset=batches,
            # The Trainer wants one before it evaluates; `evaluate` scores the validation split itself.
            eval_dataset=batches if validate else None,
            data_collator=only,
            callbacks=callbacks,
        )
        self.model_accepts_loss_kwargs = False

    def get_train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Batches of this process: `StepBatches` knows which rows are its own."""
        workers = self.args.dataloader_num_workers
        return DataLoader(
            self.train_dataset,
            batch_sampler=Steps(self.args.max_steps * self.args.gradient_accumulation_steps),
            num_workers=workers,
            collate_fn=only,
            pin_memory=self.args.dataloader_pin_memory and torch.cuda.is_available(),
            prefetch_factor=2 if workers else None,
        )

    def get_batch_samples(self, *given: Any, **named: Any) -> Any:
        """As the Trainer's; the time it takes is what a step waits for data."""
        began = time.perf_counter()
        found = super().get_batch_samples(*given, **named)
        self.loading += time.perf_counter() - began
        return found

    def create_optimizer(self, model: Any = None) -> Any:
        """AdamW; towers may learn at a rate of their own."""
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(
                parameter_groups(self.model, self._config), lr=self._config.learning_rate
            )
        return self.optimizer

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """As the Trainer's, with chance that follows from seed, step and process, and faults that say the mend."""
        began = time.perf_counter()
        number = inputs["step"]
        torch.manual_seed(hash_of_step(self.args.seed, number, self.args.process_index))
        try:
            loss = super().training_step(model, inputs, num_items_in_batch)
        except torch.cuda.OutOfMemoryError as error:
            raise out_of_memory(error) from error
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or "not enough memory" in str(error).lower():
                raise out_of_memory(error) from error
            raise
        if not torch.isfinite(loss):
            rows = ", ".join(inputs["rows"][:3])
            raise RunFailedError(
                f"the loss is {loss.item()} in step {number + 1} (its batch begins with the triplets {rows}): lower "
                "run.learning_rate, or look at these triplets, and train again."
            )
        self.computing += time.perf_counter() - began
        return loss

    def compute_loss(
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The learner's loss, plain or cached."""
        learner = self.model
        assert isinstance(learner, Learner)
        step = Step(self.state.global_step, self.args.max_steps, _generator(self.args, inputs["step"]))
        chunks, plans = inputs["chunks"], inputs["plans"]
        if self._config.chunk is None:
            return model(chunks=chunks, plans=plans, step=step)
        return cached_loss(
            model,
            learner,
            chunks,
            plans,
            step,
            backward=lambda loss: self.accelerator.backward(loss / self.current_gradient_accumulation_steps),
            no_sync=lambda: self.accelerator.no_sync(model),
            around=self.compute_loss_context_manager,
        )

    def evaluate(self, *given: Any, **named: Any) -> dict[str, float]:
        """Metrics of the validation split, as `eval_NAME`."""
        assert self._validate is not None
        model = self.model
        assert model is not None
        model.eval()
        metrics = {f"eval_{name}": value for name, value in self._validate().items()}
        model.train()
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """A checkpoint holds what is trained: frozen towers come from their source."""
        if not self.args.should_save:
            return
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(learner_state(self.model), folder / "learner.pt")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_learner(self.model, Path(resume_from_checkpoint))

    def _load_best_model(self) -> None:
        best = self.state.best_model_checkpoint
        assert best is not None
        load_learner(self.model, Path(best))


def parameter_groups(learner: Any, config: RunConfig) -> list[dict[str, Any]]:
    """Parameters with their rate and decay: towers apart, vectors and scalars without decay."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, one in learner.named_parameters():
        if one.requires_grad:
            tower = name.startswith(("retriever.image_tower.", "retriever.text_tower."))
            rate = config.tower_learning_rate if tower and config.tower_learning_rate else config.learning_rate
            decay = config.weight_decay if one.ndim >= _DECAYED else 0.0
            groups.setdefault((rate, decay), []).append(one)
    return [{"params": found, "lr": rate, "weight_decay": decay} for (rate, decay), found in groups.items()]


def learner_state(learner: Any) -> dict[str, Tensor]:
    """Everything of a learner but frozen towers."""
    state = {f"retriever.{name}": value for name, value in learner.retriever.kept_state().items()}
    return state | {f"objectives.{name}": value for name, value in learner.objectives.state_dict().items()}


def load_learner(learner: Any, folder: Path) -> None:
    """Restore `learner_state` from a checkpoint."""
    learner.load_state_dict(torch.load(folder / "learner.pt", weights_only=True, map_location="cpu"), strict=False)


def out_of_memory(error: BaseException) -> RunFailedError:
    """What to lower."""
    return RunFailedError(
        "memory ran out in a training step: set run.chunk (a large batch in parts, with equal gradients), lower "
        f"run.batch, or set run.activation_checkpointing ({str(error).splitlines()[0][:120]})."
    )


def hash_of_step(seed: int, step: int, rank: int) -> int:
    """A seed for torch."""
    return (seed * 1_000_003 + step) * 8191 + rank


def _generator(arguments: TrainingArguments, step: int) -> torch.Generator:
    generator = torch.Generator(device=arguments.device)
    return generator.manual_seed(hash_of_step(arguments.seed + 1, step, arguments.process_index))


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """torch with so many threads."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
