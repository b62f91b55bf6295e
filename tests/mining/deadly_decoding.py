"""What the supervised child of a test runs: annotation whose decoder dies over one file and never ends over another."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping

from mining import annotation
from mining.decoding import Decoded, decode
from schemas.outcomes import CollectedOutcomes


def _deadly(data: bytes, max_pixels: int) -> Decoded:
    if data == b"DIE":
        os.kill(os.getpid(), signal.SIGSEGV)
    if data == b"HANG":
        time.sleep(600)
    return decode(data, max_pixels)


def annotate_in_child(
    images: list[tuple[str, str, bytes]], *, mark: Callable[[str], None], quarantine: Mapping[str, str]
) -> tuple[int, dict[str, int]]:
    """Annotate and return how many images were kept, and why others failed."""
    annotation.decode = _deadly
    config, outcomes = annotation.AnnotateConfig(), CollectedOutcomes()
    annotation.annotate(
        iter(images), config, annotation.load_models(config), outcomes, mark=mark, quarantine=quarantine
    )
    entry = outcomes.counts.entry("image")
    return entry.kept, dict(entry.failed)
