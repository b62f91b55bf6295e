"""Helper modules by name: `tiny_backbones`, `tiny_language_models`, `embedded`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_HERE = Path(__file__).parent
for _path in (
    _HERE.with_name("towers") / "tiny_backbones.py",
    _HERE / "tiny_language_models.py",
    _HERE / "embedded.py",
):
    if _path.stem not in sys.modules and _path.exists():
        _spec = importlib.util.spec_from_file_location(_path.stem, _path)
        assert _spec is not None
        assert _spec.loader is not None
        sys.modules[_path.stem] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_path.stem])
