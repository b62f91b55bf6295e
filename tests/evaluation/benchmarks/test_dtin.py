"""Domain transfer: a share of positives or a hit, queries without positives, the photo that stays."""

from __future__ import annotations

import pytest

from evaluation.benchmarks import BENCHMARKS

DOMAINS = ("cartoon", "origami", "toy", "sculpture")
PHOTOS = ["real/a b.JPEG", "real/c.JPEG"]
#: Class 1 has 20 cartoons and a toy, class 2 one cartoon. Photos are labelled 6000 + class.
TARGETS = (
    [(f"r/cartoon_{number}.jpg", 1) for number in range(20)]
    + [("r/other.jpg", 2), ("r/toy.jpg", 2001)]
    + [(PHOTOS[0], 6001), (PHOTOS[1], 6002)]
)
GALLERY = [path for path, _ in TARGETS]


@pytest.fixture
def folder(tmp_path, write):
    return write(
        tmp_path,
        {
            "imgnet_real_query.txt": "".join(f"{path} {label} \n" for path, label in zip(PHOTOS, (1, 2), strict=True)),
            "imgnet_targets.txt": "".join(f"{path} {label} \n" for path, label in TARGETS),
        },
    )


def _scores(first):
    """The first photo's cartoon query ranks `first`; all others rank their own photo first."""
    found = {f"{domain}/{path}": {path: 0.9} for domain in DOMAINS for path in PHOTOS}
    found[f"cartoon/{PHOTOS[0]}"] = {one: 1 - place / 100 for place, one in enumerate(first)}
    return found


def test_a_share_of_all_positives_or_a_hit(folder, by_scores, score):
    """The own photo leads; nine of twenty cartoons are among the first ten. The other photo's one cartoon is not:
    eleven images or more tie before it."""
    embeddings = by_scores(_scores([PHOTOS[0], *GALLERY[:20]]), GALLERY)
    share = score("dtin", folder, embeddings)
    assert share.metrics["cartoon/R@10"] == pytest.approx(100 * (9 / 20) / 2, abs=1e-4)
    assert share.metrics["cartoon/R@50"] == pytest.approx(100.0, abs=1e-3)
    hits = score("dtin", folder, embeddings, "magiclens")
    assert hits.metrics["cartoon/hit@10"] == 50.0
    assert set(share.metrics) == {f"{one}/R@{k}" for one in (*DOMAINS, "average") for k in (10, 50)}
    assert set(hits.metrics) == {f"{one}/hit@{k}" for one in (*DOMAINS, "average") for k in (10, 50)}


def test_the_programs_small_term(folder, by_scores, score):
    """One positive, found: 1 / (1 + 1e-5)."""
    embeddings = by_scores(_scores([]) | {f"toy/{PHOTOS[0]}": {"r/toy.jpg": 0.9}}, GALLERY)
    assert score("dtin", folder, embeddings).metrics["toy/R@10"] == pytest.approx(50 / (1 + 1e-5), abs=1e-9)


def test_queries_without_positives_score_zero_and_count(folder, by_scores, score):
    embeddings = by_scores(_scores([]), GALLERY)
    found = score("dtin", folder, embeddings)
    assert found.metrics["origami/R@50"] == 0.0
    assert found.metrics["toy/R@50"] == pytest.approx(50.0, abs=1e-3), "one of two photos has a toy"
    assert found.metrics["average/R@50"] == pytest.approx(
        sum(found.metrics[f"{domain}/R@50"] for domain in DOMAINS) / 4
    )
    assert found.counts["queries"] == 8


def test_the_photo_itself_is_not_taken_out(folder, by_scores, score):
    """Nine others and the photo before the toy: it is eleventh, and would be tenth without the photo."""
    order = [PHOTOS[0], *GALLERY[:9], "r/toy.jpg"]
    scores = _scores([]) | {f"toy/{PHOTOS[0]}": {one: 1 - place / 100 for place, one in enumerate(order)}}
    assert score("dtin", folder, by_scores(scores, GALLERY), "magiclens").metrics["toy/hit@10"] == 0.0


def test_the_domain_counts_as_well_as_the_class(folder, by_scores, score):
    scores = _scores([]) | {f"sculpture/{PHOTOS[0]}": {"r/toy.jpg": 0.9, "r/cartoon_0.jpg": 0.8}}
    assert score("dtin", folder, by_scores(scores, GALLERY), "magiclens").metrics["sculpture/hit@50"] == 0.0


def test_against_the_definition(folder, random_embeddings, order, score):
    task = BENCHMARKS["dtin"].load(folder, "pic2word", "all", None)
    embeddings = random_embeddings(task)
    found = score("dtin", folder, embeddings)
    labels = dict(TARGETS)
    for number, domain in enumerate(DOMAINS):
        shares = []
        for path, label in zip(PHOTOS, (1, 2), strict=True):
            first = order(embeddings, f"{domain}/{path}", GALLERY)[:10]
            wanted = 1000 * number + label
            hits = sum(labels[one] == wanted for one in first)
            shares.append(hits / (sum(one == wanted for one in labels.values()) + 1e-5))
        assert found.metrics[f"{domain}/R@10"] == pytest.approx(100 * sum(shares) / 2)
