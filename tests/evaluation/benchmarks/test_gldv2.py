"""Google Landmarks v2: which rows are queries, what AP divides by, Public and Private."""

from __future__ import annotations

import pytest

from evaluation.benchmarks import BENCHMARKS
from schemas.errors import ConfigurationError

INDEX = [f"{number:016x}" for number in range(130)]


def _csv(*rows):
    return "id,images,Usage\n" + "".join(f"{one},{images},{usage}\n" for one, images, usage in rows)


@pytest.fixture
def folder(tmp_path, write):
    return write(
        tmp_path,
        {
            "retrieval_solution_v2.1.csv": _csv(
                ("qa", " ".join(INDEX[:2]), "Public"),
                ("qb", " ".join(INDEX[:120]), "Private"),
                ("qc", "None", "Public"),
                ("qd", INDEX[0], "Ignored"),
            ),
            "index.txt": "\n".join(INDEX),
        },
    )


def _ranked(*numbers):
    return {INDEX[number]: 1 - place / 200 for place, number in enumerate(numbers)}


def test_by_hand(folder, by_scores, score):
    """qa finds its two at 1 and 101; of qb's 120 the first hundred places hold ninety-nine, after one wrong."""
    first = _ranked(0, *range(2, 101), 1)
    second = _ranked(129, *range(120))
    found = score("gldv2", folder, by_scores({"qa": first, "qb": second}, INDEX))
    private = 100 * sum(place / (place + 1) for place in range(1, 100)) / 100
    assert found.metrics["mAP@100/Public"] == pytest.approx(50.0), "the one at 101 does not count"
    assert found.metrics["mAP@100/Private"] == pytest.approx(private), "by min(120, 100)"
    assert found.metrics["mAP@100"] == pytest.approx((50 + private) / 2)
    assert found.metrics["P@1"] == pytest.approx(50.0)
    assert set(found.metrics) == {"mAP@100", "mAP@100/Public", "mAP@100/Private", "P@1"}
    assert found.counts["queries"] == 2, "rows without images and ignored ones are no queries"


def test_ids_of_other_rows_are_ignored_and_counted(folder, by_scores, score):
    scores = {"qa": _ranked(0), "qb": _ranked(0), "qc": {}, "qd": {}}
    assert score("gldv2", folder, by_scores(scores, INDEX)).counts["ignored_queries"] == 2
    with pytest.raises(ConfigurationError, match=r"lack 1 query ids .*'qb'"):
        score("gldv2", folder, by_scores({"qa": _ranked(0)}, INDEX))


def test_without_index_the_file_is_the_gallery(folder, by_scores, score):
    (folder / "index.txt").unlink()
    scores = {"qa": _ranked(0), "qb": _ranked(0)}
    assert score("gldv2", folder, by_scores(scores, [*INDEX, "more"])).counts["gallery"] == 131
    with pytest.raises(ConfigurationError, match=f"does not hold: '{INDEX[1]}'"):
        score("gldv2", folder, by_scores(scores, [INDEX[0], *INDEX[2:]]))


def test_any_name_of_the_solution_but_only_one(folder, write):
    load = BENCHMARKS["gldv2"].load
    write(folder, {"retrieval_solution_v2.0.csv": _csv(("qa", INDEX[0], "Public"))})
    with pytest.raises(ConfigurationError, match="several"):
        load(folder, "official", "test", INDEX)
    (folder / "retrieval_solution_v2.1.csv").unlink()
    assert load(folder, "official", "test", INDEX).parts[0].queries == ["qa"]
    (folder / "retrieval_solution_v2.0.csv").unlink()
    with pytest.raises(ConfigurationError, match="it holds none"):
        load(folder, "official", "test", INDEX)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,images\nqa,x\n", "no column 'Usage'"),
        (_csv(("qa", INDEX[0], "Secret")), "for 'qa'"),
        (_csv(("qa", INDEX[0], "Public"), ("qa", INDEX[0], "Public")), "more than once: 'qa'"),
        (_csv(("qa", "None", "Public")), "no row with images"),
        ("id,images,Usage\nqa\n", "cut short: '0'"),
        (_csv(("qa", "absent", "Public")), "'absent'"),
    ],
)
def test_broken_solutions_are_named(folder, write, content, message):
    write(folder, {"retrieval_solution_v2.1.csv": content})
    with pytest.raises(ConfigurationError, match=message):
        BENCHMARKS["gldv2"].load(folder, "official", "test", INDEX)
