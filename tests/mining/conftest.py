"""Makes `made_places`, the constructed pages of the tests of pairing, importable."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
