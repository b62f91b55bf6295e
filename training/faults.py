"""What can go wrong in the middle of a training, each with the sentence that says the mend."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from schemas.errors import RunFailedError

#: What to do about it in a step, and where no step has begun.
IN_A_STEP = (
    "memory ran out in a training step: set run.chunk (a large batch in parts, with equal gradients), lower run.batch, "
    "or set run.activation_checkpointing"
)
BEFORE = "memory ran out before the first step: take smaller towers, or lower data.window"
_FULL = ("out of memory", "not enough memory", "allocate memory", "bad alloc", "bad_alloc")


@contextmanager
def memory_told(mend: str) -> Iterator[None]:
    """Within, memory that runs out becomes a RunFailedError; `mend` names the settings to change."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(mend, error) from error
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        raise _out_of_memory(mend, error) from error
    except RuntimeError as error:
        said = str(error)
        if "DataLoader worker" in said and "killed" in said.lower():
            raise RunFailedError(
                "a process that loads data was killed, as systems do when memory runs out: lower data.workers or "
                "data.window."
            ) from error
        if not any(one in said.lower() for one in _FULL):
            raise
        raise _out_of_memory(mend, error) from error


def _out_of_memory(mend: str, error: BaseException) -> RunFailedError:
    reason = next(iter(str(error).splitlines()), "")[:160] or type(error).__name__
    return RunFailedError(f"{mend} ({reason}).")


def no_number(what: str, value: float, step: int, rows: Sequence[str]) -> RunFailedError:
    """The loss or the gradients of a step (from 1) are no number; `rows` are triplets of its batch."""
    named = ", ".join(rows[:3])
    return RunFailedError(
        f"the {what} {'is' if what == 'loss' else 'are'} {value} in step {step} (its batch begins with the triplets "
        f"{named}): lower run.learning_rate, or look at these triplets, and train again."
    )
