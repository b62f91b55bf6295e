"""The limit of CSV fields is nobody else's."""

from __future__ import annotations

import csv

import pytest

from schemas.csv_fields import field_limit


def test_the_limit_holds_within_and_is_gone_after() -> None:
    before = csv.field_size_limit()
    with field_limit(3), pytest.raises(csv.Error):
        list(csv.reader(["a,four"]))
    assert csv.field_size_limit() == before
    with pytest.raises(ZeroDivisionError), field_limit(3):
        raise ZeroDivisionError
    assert csv.field_size_limit() == before
    with field_limit(4):
        assert list(csv.reader(["a,four"])) == [["a", "four"]]
