"""The processes that train together: which one is first, and what it does for all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from schemas.errors import ConfigurationError, MissingPackageError, RunFailedError

Made = TypeVar("Made")
#: How long processes wait for each other: the first one may compute features of a large dataset meanwhile.
_PATIENCE = timedelta(days=7)


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return dist.get_rank() if processes() > 1 else 0


def is_first() -> bool:
    """Whether this process writes and speaks for all."""
    return rank() == 0


def on_cpu() -> bool:
    """Whether there is nothing faster."""
    return not torch.accelerator.is_available()


def join() -> None:
    """Meet the other processes that torchrun or `accelerate launch` has started; alone, do nothing.

    Raises ConfigurationError where several were started that cannot work together, MissingPackageError.
    """
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise MissingPackageError("accelerate", "train", "training") from error
    state = PartialState(cpu=on_cpu(), timeout=_PATIENCE)
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != state.num_processes:
        raise ConfigurationError(
            f"{started} processes were started, and training on {state.device.type} is done by {state.num_processes}: "
            "start one."
        )


def leave() -> None:
    """Part from the other processes, at the end of a command."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def wait() -> None:
    """Go on when all processes have come here."""
    if processes() > 1:
        dist.barrier()


@contextmanager
def first_before_others() -> Iterator[None]:
    """The first process enters alone, the others when it has left: they find what it has made.

    What stops the first stops the others, with RunFailedError.
    """
    if processes() == 1:
        yield
        return
    told: list[Any] = [False]
    if is_first():
        try:
            yield
            told = [True]
        finally:
            dist.broadcast_object_list(told, src=0)
        return
    dist.broadcast_object_list(told, src=0)
    _stop_unless(told[0])
    yield


def from_first(make: Callable[[], Made]) -> Made:
    """What `make` gives in the first process, in all of them. What stops it stops all."""
    if processes() == 1:
        return make()
    told: list[Any] = [False, None]
    if is_first():
        try:
            told = [True, make()]
        finally:
            dist.broadcast_object_list(told, src=0)
    else:
        dist.broadcast_object_list(told, src=0)
    _stop_unless(told[0])
    made: Made = told[1]
    return made


def _stop_unless(done: bool) -> None:
    if not done:
        raise RunFailedError(f"process {rank()} stops because the first one has stopped, whose message says why.")
