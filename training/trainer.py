"""transformers' Trainer over whole batches by step: cached losses, chance by step, faults with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainingArguments
from transformers.trainer_callback import TrainerState

from training.arguments import rate_factor
from training.cached_loss import cached_loss
from training.checkpoints import mark, remove_old
from training.config import RunConfig
from training.data.step_batches import StepBatches, Steps, only
from training.faults import no_number
from training.learner import Learner, learner_state, load_learner
from training.objectives.gathering import gathered
from training.objectives.interface import Step
from training.own_files import save_whole
from training.processes import from_first, processes, wait
from training.progress import PART, Meter

#: Weights that are not decayed, as in CLIP and its kin: one dimension or less.
_DECAYED = 2
_WEIGHTS, _BEST, _STATE = "learner.pt", "best.pt", "trainer_state.json"


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
        self.state: Any
        self.meter = Meter()
        self._parts: dict[str, Tensor] = {}
        self._rows: list[str] = []
        self._batches_since_log = 0
        super().__init__(
            model=learner,
            args=arguments,
            train_dataset=batches,
            # The Trainer wants one before it evaluates; `evaluate` scores the validation split itself.
            eval_dataset=batches if validate else None,
            data_collator=only,
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)
        self.model_accepts_loss_kwargs = False

    def fit(self, checkpoint: Path | None = None) -> None:
        """Train, or go on after a checkpoint; where steps are scored the best one's weights are kept."""
        before = TrainerState.load_from_json(str(checkpoint / _STATE)) if checkpoint else None
        if before is not None and self._lost_patience(before):
            self.state = before
        else:
            self.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        wait()
        best = Path(str(self.args.output_dir)) / _BEST
        if self._validate is not None and best.exists():
            load_learner(self._learner, best)

    @property
    def _learner(self) -> Learner:
        assert isinstance(self.model, Learner)
        return self.model

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
        with self.meter.waiting():
            return super().get_batch_samples(*given, **named)

    def create_optimizer(self, model: Any = None) -> Any:
        """AdamW; towers may learn at a rate of their own."""
        if self.optimizer is None:
            # One pass over each tensor: the step takes a quarter of the time that AdamW's single operations do.
            fused = self.args.device.type in ("cpu", "cuda")
            groups = parameter_groups(self.model, self._config)
            self.optimizer = torch.optim.AdamW(groups, lr=self._config.learning_rate, fused=fused)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """See `rate_factor`."""
        run = self._config
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer or self.optimizer, lambda step: rate_factor(step, run)
        )
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """As the Trainer's, with chance that follows from seed, step and process, and a loss that must be a number."""
        torch.manual_seed(hash_of_step(self.args.seed, inputs["step"], self.args.process_index))
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._rows = inputs["rows"]
        if not torch.isfinite(loss):
            raise no_number("loss", loss.item(), self.state.global_step + 1, self._rows)
        self.meter.count(len(self._rows) * processes())
        self._batches_since_log += 1
        for name, part in self._learner.parts.items():
            self._parts[name] = self._parts[name] + part if name in self._parts else part
        return loss

    def _clip_grad_norm(self, model: Any) -> Any:
        norm = super()._clip_grad_norm(model)
        if not torch.isfinite(torch.as_tensor(norm)):
            raise no_number("gradients", float(norm), self.state.global_step + 1, self._rows)
        return norm

    def compute_loss(
        self, model: nn.Module, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The learner's loss, plain or cached."""
        step = Step(self.state.global_step, self.args.max_steps)
        chunks, plans = inputs["chunks"], inputs["plans"]
        if self._config.chunk is None:
            return model(chunks=chunks, plans=plans, step=step)
        return cached_loss(
            model,
            self._learner,
            chunks,
            plans,
            step,
            backward=self.accelerator.backward,
            no_sync=lambda: self.accelerator.no_sync(model),
            divisor=self.current_gradient_accumulation_steps,
        )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As the Trainer's; beside the loss its parts where there are several, samples a second and the data wait."""
        if "loss" in logs:
            logs |= self.meter.read()
            if len(self._parts) > 1:
                mean = torch.stack(list(self._parts.values())) / self._batches_since_log
                over_all = gathered(mean[None]).mean(0).tolist()
                logs |= {f"{PART}{name}": value for name, value in zip(self._parts, over_all, strict=True)}
            self._parts, self._batches_since_log = {}, 0
        super().log(logs, start_time)

    def evaluate(self, *given: Any, **named: Any) -> dict[str, float]:
        """Metrics of the validation split, as `eval_NAME`; the first process scores for all."""
        with self.meter.aside():
            metrics = {f"eval_{name}": value for name, value in from_first(self._scored).items()}
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _scored(self) -> dict[str, float]:
        assert self._validate is not None
        self._learner.eval()
        found = self._validate()
        self._learner.train()
        return found

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        best: bool = super()._determine_best_metric(metrics, trial)
        if best and self.args.should_save:
            save_whole(learner_state(self._learner), Path(str(self.args.output_dir)) / _BEST)
        if self._lost_patience(self.state):
            self.control.should_training_stop = True
        return best

    def _lost_patience(self, state: Any) -> bool:
        """Whether no score was better for as many evaluations as settings wait; it follows from the state alone, so
        that a resumed run stops where an undisturbed one does."""
        patience, every = self._config.patience, self._config.evaluate_steps
        if patience is None or every is None or state.best_global_step is None:
            return False
        return bool(state.global_step - state.best_global_step >= patience * every)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with self.meter.aside():
            super()._save_checkpoint(model, trial)
            wait()
            if self.args.should_save:
                folder = Path(str(self.args.output_dir))
                mark(folder / f"checkpoint-{self.state.global_step}")
                remove_old(folder)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """A checkpoint holds what is trained: frozen towers come from their source."""
        if not self.args.should_save:
            return
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(learner_state(self._learner), folder / _WEIGHTS)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_learner(self._learner, Path(resume_from_checkpoint) / _WEIGHTS)


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


def hash_of_step(seed: int, step: int, rank: int) -> int:
    """A seed for torch."""
    return ((seed * 1_000_003 + step) * 8191 + rank) % 2**63
