"""The answer of a request that was not answered."""

from __future__ import annotations

from typing import Any


def failed_answer(error: str, tries: int) -> dict[str, Any]:
    """See `schemas.protocols.InstructionWriter`: an answer with an error, after so many tries."""
    return {
        "text": None,
        "error": error,
        "finish_reason": None,
        "prompt_tokens": None,
        "completion_tokens": None,
        "tries": tries,
    }
