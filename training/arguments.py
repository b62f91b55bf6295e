"""The settings of a stage as transformers' Trainer takes them."""

from __future__ import annotations

import math
from pathlib import Path

from transformers import TrainingArguments

from training.config import RunConfig
from training.processes import on_cpu, processes


def training_arguments(folder: Path, run: RunConfig, workers: int = 0) -> TrainingArguments:
    """The Trainer's arguments of a stage whose checkpoints lie in `folder`; `workers` load data ahead.

    Old checkpoints, the best one and loggers are not the Trainer's business here: see `StepTrainer`.
    """
    scored = run.evaluate_steps is not None
    arguments = TrainingArguments(
        output_dir=str(folder),
        use_cpu=on_cpu(),
        max_steps=run.steps,
        per_device_train_batch_size=run.batch // processes(),
        gradient_accumulation_steps=run.accumulate,
        learning_rate=run.learning_rate,
        weight_decay=run.weight_decay,
        max_grad_norm=run.max_gradient,
        bf16=run.bf16,
        activation_checkpointing=run.activation_checkpointing,
        dataloader_num_workers=workers,
        save_steps=run.checkpoint_steps,
        eval_strategy="steps" if scored else "no",
        eval_steps=run.evaluate_steps,
        metric_for_best_model=run.metric if scored else None,
        greater_is_better=True if scored else None,
        logging_steps=run.log_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        report_to="none",
        log_level="error",
        log_level_replica="error",
        seed=run.seed % 2**32,
        disable_tqdm=True,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
    )
    # One process takes one device: several of them are the work of as many processes.
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


def rate_factor(step: int, run: RunConfig) -> float:
    """The share of the peak rate at which a step (from 0) is done: up in a line, whose first step moves already, then
    down half a cosine."""
    rising = round(run.steps * run.warmup)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, run.steps - rising)))
