"""Helper module by name: `tiny_backbones`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

if "tiny_backbones" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("tiny_backbones", Path(__file__).with_name("tiny_backbones.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["tiny_backbones"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["tiny_backbones"])
