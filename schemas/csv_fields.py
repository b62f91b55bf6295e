"""How long a field of a CSV file may be: `csv` holds one limit for the whole process, which nobody may leave behind."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def field_limit(characters: int) -> Iterator[None]:
    """Within it a longer field raises csv.Error. Read all rows within it: the limit holds while rows are read."""
    before = csv.field_size_limit(characters)
    try:
        yield
    finally:
        csv.field_size_limit(before)
