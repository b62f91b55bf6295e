"""The quality of rows from their columns."""

import numpy as np
import pyarrow as pa
import pytest

from publishing.selection.columns import codes, column, numbers, source_of
from publishing.selection.config import QUALITY, QualityTerm, selection_config
from publishing.selection.quality import quality, term_values
from schemas.errors import ConfigurationError
from schemas.published import IDS


def chunks(values, kind=None):
    return pa.chunked_array([pa.array(values, kind)])


def test_values_have_their_numbers_and_others_the_one_of_what_is_missing():
    term = QualityTerm(kind="values", values={"pass": 1.0, "fail": 0.0}, missing=0.3)
    assert term_values(chunks(["pass", "fail", "moon", None]), "verdict", term).tolist() == [1.0, 0.0, 0.3, 0.3]


def test_places_go_by_order_alone_and_equal_numbers_share_theirs():
    found = term_values(chunks([1.0, 5.0, 5.0, None, 100.0]), "score", QualityTerm(kind="high"))
    assert found.tolist() == [0.125, 0.5, 0.5, 0.5, 0.875]
    scaled = term_values(chunks([-7.0, -1.0, -1.0, None, 0.0]), "score", QualityTerm(kind="high"))
    assert scaled.tolist() == found.tolist()
    low = term_values(chunks([1, 5, 5, None, 100]), "rank", QualityTerm(kind="low"))
    assert low.tolist() == [0.875, 0.5, 0.5, 0.5, 0.125]


def test_a_window_is_whole_inside_and_falls_over_its_width():
    term = QualityTerm(kind="window", min=2, max=4)
    found = term_values(chunks([0, 1, 2, 3, 4, 5, 6, 60, None]), "words", term)
    assert found.tolist() == [0, 0.5, 1, 1, 1, 0.5, 0, 0, 0.5]
    parts = QualityTerm(kind="window", min=0.25, max=0.75, quantiles=True)
    assert term_values(chunks([0.0, 1.0, 2.0, 3.0, 4.0]), "s", parts).tolist() == [0.5, 1, 1, 1, 0.5]
    assert term_values(chunks([2.0, 2.0, 2.0]), "s", parts).tolist() == [1, 1, 1]
    assert term_values(chunks([None, None], pa.float32()), "s", parts).tolist() == [0.5, 0.5]


def test_quality_is_the_weighted_mean():
    table = pa.table({"verdict": ["pass", "fail"], "words": [3, 30]})
    terms = {
        "verdict": QualityTerm(kind="values", values={"pass": 1, "fail": 0}, weight=3),
        "words": QualityTerm(kind="window", min=3, max=20),
        "idle": QualityTerm(kind="high", weight=0),
    }
    assert quality(table, terms) == pytest.approx([1.0, (1 - 10 / 17) / 4], abs=1e-6)


def test_the_usual_terms_are_columns_of_every_dataset():
    assert {source_of(name, IDS.schema) for name in QUALITY} <= set(IDS.schema.names)


def test_columns_that_follow_from_others():
    texts = pa.list_(pa.struct([("text", pa.string()), ("score", pa.float32())]))
    rows = [[{"text": "a", "score": 0.5}, {"text": "b", "score": 0.1}], [], None, [{"text": "c", "score": None}]]
    table = pa.table(
        {
            "instruction": ["the same in red", "", None, "two words"],
            "instructions": pa.array(rows, texts),
            "page_url": ["https://A.example/x", "http://[broken", None, "http://b.example:8080"],
        }
    )
    # A slice's lists begin in the middle of their values.
    for start in (0, 1, 3):
        part = table.slice(start)
        assert column(part, "instructions.score").to_pylist() == [0.5, None, None, None][start:]
        assert column(part, "words").to_pylist() == [4, 0, None, 2][start:]
        assert column(part, "texts").to_pylist() == [2, 0, 0, 1][start:]
        assert column(part, "host").to_pylist() == ["a.example", None, None, "b.example:8080"][start:]
    with pytest.raises(
        ConfigurationError, match=r"no column 'colour': name one of instruction, .* words, texts or host"
    ):
        source_of("colour", table.schema)
    with pytest.raises(ConfigurationError, match=r"no column 'instructions\.tone'"):
        source_of("instructions.tone", table.schema)


def test_values_are_numbered_in_their_order():
    names, starts, found = codes(chunks([["b", "a", "b"], None, [], ["c"]], pa.list_(pa.string())), "entities")
    assert (names, starts.tolist(), found.tolist()) == (["a", "b", "c"], [0, 2, 2, 2, 3], [0, 1, 2])
    names, starts, found = codes(chunks(["x", None, "w"]), "mining")
    assert (names, starts.tolist(), found.tolist()) == (["w", "x"], [0, 1, 1, 2], [1, 0])
    assert codes(chunks([None, None], pa.null()), "mining")[0] == []


def test_columns_that_do_not_fit_are_said():
    with pytest.raises(ConfigurationError, match="holds string, no numbers"):
        numbers(chunks(["a"]), "mining")
    with pytest.raises(ConfigurationError, match="takes texts or numbers"):
        term_values(chunks([["a"]]), "hard_negatives", QualityTerm(kind="values", values={"a": 1}))
    with pytest.raises(ConfigurationError, match="holds struct"):
        codes(chunks([{"a": 1}]), "odd")
    assert np.isnan(numbers(chunks([None], pa.null()), "x")).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"size": 0}, "size: Input should be greater than or equal to 1"),
        ({"by": "luck"}, "by: Input should be 'diversity', 'quality' or 'mix'"),
        ({"share": 1.0}, "share: "),
        ({"caps": {"host": 1.5}}, "caps are shares"),
        ({"cover": {"host": -1}}, "weights of cover"),
        ({"by": "mix", "quality": {}}, "no term with a weight"),
        ({"quality": {"words": {"kind": "window", "min": 3}}}, "a window needs min and max"),
        ({"quality": {"words": {"kind": "window", "min": 3, "max": 5, "quantiles": True}}}, "between 0 and 1"),
        ({"quality": {"verdict": {"kind": "values"}}}, "values must hold a number"),
        ({"tempo": 3}, "tempo: Extra inputs are not permitted"),
    ],
)
def test_wrong_settings_have_a_sentence(settings, words):
    with pytest.raises(ConfigurationError) as caught:
        selection_config({"size": 5, "by": "diversity", **settings})
    assert words in str(caught.value)
