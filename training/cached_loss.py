"""The loss of a batch that is too large to embed at once: GradCache (Gao et al., arXiv 2101.06983).

Embeddings are computed in chunks without gradients; the loss gives their gradients; each chunk is then computed again,
with the same chance, and gradients go through it. The result is the plain loss's, in the memory of one chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from training.learner import Learner
from training.objectives.interface import Step


def cached_loss(
    wrapped: nn.Module,
    learner: Learner,
    chunks: list[Any],
    plans: Mapping[str, Any],
    step: Step,
    backward: Callable[[Tensor], None],
    no_sync: Callable[[], AbstractContextManager[Any]],
    divisor: int = 1,
) -> Tensor:
    """A scalar with the loss's value whose backward pass finishes the gradients.

    `wrapped` is the learner as it is called, `backward` what stands for `Tensor.backward`, `no_sync` keeps gradients
    in this process. `divisor` is what the caller divides the scalar by before its backward pass, as it does where
    gradients of several batches are added; everything that goes backward here is divided by it too.
    """
    states, parts = [], []
    with torch.no_grad():
        for one in chunks:
            states.append(_chance())
            parts.append(learner(chunks=[one], plans=None, step=None))
    embeddings = torch.cat(parts).detach().requires_grad_()
    with no_sync():
        loss = learner.loss(embeddings, plans, step)
        backward(loss / divisor)
    assert embeddings.grad is not None
    gradients = torch.split(embeddings.grad * divisor, [len(one) for one in parts])
    last = len(chunks) - 1
    for number, (one, state, gradient) in enumerate(zip(chunks, states, gradients, strict=True)):
        if number < last:
            with no_sync():
                backward(_again(wrapped, one, state, gradient) / divisor)
            continue
        # The value is the loss's, the gradient the last chunk's: whoever trains calls backward on it as on any loss.
        surrogate = _again(wrapped, one, state, gradient)
        return loss.detach() + surrogate - surrogate.detach()
    raise ValueError("a batch has at least one chunk")


def _again(wrapped: nn.Module, chunk: Any, state: Any, gradient: Tensor) -> Tensor:
    """A scalar whose gradient is the chain rule through one chunk."""
    with _with_chance(state):
        embedded: Tensor = wrapped(chunks=[chunk], plans=None, step=None)
    return (embedded * gradient).sum()


def _chance() -> Any:
    return torch.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else None


@contextmanager
def _with_chance(state: Any) -> Iterator[None]:
    """Chance as it was, and afterwards as it is now."""
    now = _chance()
    _set_chance(state)
    try:
        yield
    finally:
        _set_chance(now)


def _set_chance(state: Any) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state_all(state[1])
