import math

import pytest
from pydantic import ValidationError

from mining.scores.filter import ColumnWindow, check_columns, fault
from schemas.errors import ConfigurationError

WINDOWS = {
    "pmi": ColumnWindow(max=0.5, missing="drop"),
    "agreement": ColumnWindow(min=0.1, max=0.9),
    "generated": ColumnWindow(max=0),
}


def row(**values):
    return {"pmi": 0.2, "agreement": 0.5, "generated": None, **values}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"agreement": 0.1}, None),
        ({"agreement": 0.9}, None),
        ({"agreement": None}, None),
        ({"agreement": math.nan}, None),
        ({"agreement": 0.05}, ("below_agreement", "0.05")),
        ({"agreement": 0.95}, ("above_agreement", "0.95")),
        ({"pmi": None}, ("without_pmi", None)),
        ({"pmi": math.nan}, ("without_pmi", None)),
        ({"pmi": 0.6}, ("above_pmi", "0.6")),
        ({"pmi": 0.6, "agreement": 1}, ("above_agreement", "1")),
        ({"generated": True}, ("above_generated", "1")),
        ({"generated": False}, None),
    ],
)
def test_pairs_outside_a_window_have_a_reason(values, expected):
    assert fault(row(**values), WINDOWS) == expected


def test_no_windows_keep_everything():
    assert fault({}, {}) is None
    check_columns({}, [])


def test_unknown_columns_are_named_with_those_there_are():
    check_columns(WINDOWS, ["pmi", "agreement", "generated", "other"])
    with pytest.raises(ConfigurationError, match=r"names 'pmi', but the score columns are: agreement, generated\."):
        check_columns(WINDOWS, ["generated", "agreement"])


def test_words_are_not_compared():
    with pytest.raises(TypeError, match="'pmi' holds str"):
        fault(row(pmi="much"), WINDOWS)


@pytest.mark.parametrize(
    "window",
    [{"min": 1, "max": 0}, {}, {"missing": "keep"}, {"min": math.nan}, {"missing": "perhaps"}, {"least": 1}],
)
def test_windows_that_keep_nothing_or_everything_are_refused(window):
    with pytest.raises(ValidationError):
        ColumnWindow.model_validate(window)
