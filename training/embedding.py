"""Embeds items with a retriever, outside training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from schemas.protocols import Float32Array
from training.data.sources import Sources
from training.items import Item
from training.models.interface import Retriever

#: Items that are embedded at once.
BATCH = 64


def embed(model: Retriever, items: Sequence[Item], sources: Sources, batch: int = BATCH) -> Float32Array:
    """Unit vectors float32 (n, width), in the order of the items; the model is left in the mode it was in."""
    was_training = model.training
    model.eval()
    device = next((one.device for one in model.parameters()), torch.device("cpu"))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(items), batch):
            inputs = moved(model.prepare(items[start : start + batch], sources), device)
            parts.append(model(inputs).float().cpu().numpy())
    model.train(was_training)
    found: Float32Array = np.concatenate(parts) if parts else np.zeros((0, model.width), np.float32)
    return found


def moved(inputs: object, device: torch.device) -> object:
    """Inputs with their tensors on a device."""
    if isinstance(inputs, torch.Tensor):
        return inputs.to(device)
    if isinstance(inputs, dict):
        return {name: moved(one, device) for name, one in inputs.items()}
    return type(inputs)(moved(one, device) for one in inputs) if isinstance(inputs, list | tuple) else inputs
