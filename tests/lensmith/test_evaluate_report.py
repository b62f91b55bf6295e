"""The commands evaluate and compare end to end, on small folders in the layouts of FashionIQ and CIRR."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from evaluation.composers import slerp
from evaluation.rerankers import superglobal
from evaluation.unit_vectors import unit
from lensmith.cli import app
from schemas.errors import ConfigurationError

CATEGORIES, SIZE, DIMENSIONS = ("dress", "shirt", "toptee"), 24, 16


def _write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def _vectors(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture
def fashioniq(tmp_path: Path) -> Path:
    """24 images and 23 queries a category, each wanting the next image; texts near the target, images far."""
    gallery, text, image, ids, queries = [], [], [], [], []
    for seed, category in enumerate(CATEGORIES):
        names = [f"B{number:03d}" for number in range(SIZE)]
        entries = [
            {"candidate": one, "target": other, "captions": ["is <b>red</b>", "has no sleeves"]}
            for one, other in pairwise(names)
        ]
        _write(tmp_path / f"captions/cap.{category}.val.json", entries)
        _write(tmp_path / f"image_splits/split.{category}.val.json", names)
        vectors = _vectors(seed, SIZE, DIMENSIONS)
        gallery.append(vectors)
        text.append(vectors[1:] + 2.0 * _vectors(seed + 10, SIZE - 1, DIMENSIONS))
        image.append(vectors[:-1] + 0.3 * _vectors(seed + 20, SIZE - 1, DIMENSIONS))
        ids += [f"{category}/{one}" for one in names]
        queries += [f"{category}/{number}" for number in range(SIZE - 1)]
    halves = {
        "query_ids": np.array(queries),
        "gallery_ids": np.array(ids),
        "gallery_embeddings": np.concatenate(gallery),
        "query_text_embeddings": np.concatenate(text),
        "query_image_embeddings": np.concatenate(image),
    }
    np.savez(tmp_path / "halves.npz", **halves)
    composed = slerp(halves["query_image_embeddings"], halves["query_text_embeddings"], 0.7)
    np.savez(tmp_path / "composed.npz", query_embeddings=composed, **halves)
    return tmp_path


def _run(*arguments: object) -> Result:
    done = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=True)
    if isinstance(done.exception, ConfigurationError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def _evaluate(folder: Path, file: str, output: str, *more: object, benchmark: str = "fashioniq") -> dict:
    _run(
        *("evaluate", "--benchmark", benchmark, "--annotations", folder, "--embeddings", folder / file),
        *("--output", folder / output, *more),
    )
    return json.loads((folder / output).read_text())


def test_a_composer_makes_the_queries_that_its_formula_gives(fashioniq: Path) -> None:
    made = _evaluate(fashioniq, "halves.npz", "made.json", "--composer", "slerp", "--alpha", 0.7)
    given = _evaluate(fashioniq, "composed.npz", "given.json")
    assert made["metrics"] == given["metrics"]
    assert made["about"]["Composer"] == "slerp alpha 0.7"
    assert list(given)[:5] == ["benchmark", "protocol", "metrics", "bounds", "counts"]
    # One image alone is a composer and a control: they must be one number.
    alone = _evaluate(fashioniq, "halves.npz", "alone.json", "--composer", "text-only")
    assert alone["metrics"] == alone["controls"]["text_only"]
    assert alone["metrics"] != made["metrics"]
    assert "average/R@10 is" in " ".join(alone["warnings"])
    low, high = made["intervals"]["metrics"]["average/R@10"]
    assert low < made["metrics"]["average/R@10"] < high


def test_what_a_composer_needs_and_takes(fashioniq: Path) -> None:
    with pytest.raises(ConfigurationError, match="query_reference_text_embeddings"):
        _evaluate(fashioniq, "halves.npz", "x.json", "--composer", "pdv")
    with pytest.raises(ConfigurationError, match="takes no --beta"):
        _evaluate(fashioniq, "halves.npz", "x.json", "--composer", "slerp", "--beta", 0.2)
    with pytest.raises(ConfigurationError, match="belong to a --composer"):
        _evaluate(fashioniq, "composed.npz", "x.json", "--alpha", 0.2)
    with pytest.raises(ConfigurationError, match="there is no composer"):
        _evaluate(fashioniq, "halves.npz", "x.json", "--composer", "magic")
    with pytest.raises(ConfigurationError, match="query"):
        _evaluate(fashioniq, "halves.npz", "x.json")


def test_the_page_with_pictures_codes_and_published_rows(fashioniq: Path) -> None:
    images = fashioniq / "images"
    images.mkdir()
    for number in range(SIZE - 2):
        Image.new("RGB", (40, 30), (number * 10, 90, 90)).save(images / f"B{number:03d}.png")
    found = _evaluate(
        *(fashioniq, "composed.npz", "out/a.json", "--html", fashioniq / "out/a.html", "--images", images),
        *("--codes", "4,16", "--code-method", "sign"),
    )
    page = (fashioniq / "out/a.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert "not shown" in page
    assert "is &lt;b&gt;red&lt;/b&gt;" in page
    assert "LinCIR" in page
    assert "Published rows compare only if the files are the published ones" in page
    rows = found["codes"]["rows"]
    assert [row["bits"] for row in rows] == [None, 4, 16]
    assert rows[0]["value"] == pytest.approx(found["metrics"]["average/R@10"])
    assert rows[1]["worst"] <= rows[1]["value"] <= rows[1]["best"]
    assert rows[1]["worst"] < rows[1]["best"]
    with pytest.raises(ConfigurationError, match="cannot be made of 16 dimensions"):
        _evaluate(fashioniq, "composed.npz", "x.json", "--codes", "64")
    with pytest.raises(ConfigurationError, match="numbers of bits"):
        _evaluate(fashioniq, "composed.npz", "x.json", "--codes", "many")


def test_another_protocol_is_said_to_be_one(fashioniq: Path) -> None:
    done = _run(
        *("evaluate", "--benchmark", "fashioniq", "--annotations", fashioniq, "--protocol", "val"),
        *("--embeddings", fashioniq / "composed.npz", "--output", fashioniq / "val.json"),
    )
    assert "published rows do not compare" in " ".join(done.output.split())


def test_two_results_are_compared(fashioniq: Path) -> None:
    _evaluate(fashioniq, "composed.npz", "a.json")
    _evaluate(fashioniq, "halves.npz", "b.json", "--composer", "image-only")
    page, table = fashioniq / "c.html", fashioniq / "c.json"
    done = _run("compare", fashioniq / "a.json", fashioniq / "b.json", "--output", page, "--output", table)
    assert "queries gained" in done.output
    found = json.loads(table.read_text())
    row = next(one for one in found["differences"] if one["metric"] == "average/R@10")
    values = [json.loads((fashioniq / name).read_text())["metrics"]["average/R@10"] for name in ("a.json", "b.json")]
    assert (row["first"], row["second"]) == pytest.approx(tuple(values))
    changed = {one["query_id"] for one in found["changed"]}
    assert len(changed) == row["better"] + row["worse"] > 0
    lost = sorted(one["query_id"] for one in found["changed"] if one["second"] < one["first"])
    assert all(f"<bdi>{one}</bdi>" in page.read_text() for one in lost[:3])
    with pytest.raises(ConfigurationError, match=r"must end in \.html or \.json"):
        _run("compare", fashioniq / "a.json", fashioniq / "b.json", "--output", "c.txt")
    (fashioniq / "b.queries.json").unlink()
    with pytest.raises(ConfigurationError, match=r"another split|queries\.json"):
        _run("compare", fashioniq / "a.json", fashioniq / "b.json")


@pytest.fixture
def cirr(tmp_path: Path) -> Path:
    """40 images in sets of six; the text names the target, the image leads away from it."""
    names = [f"dev-{number}" for number in range(40)]
    entries = []
    for number in range(34):
        members = names[number : number + 6]
        entries.append(
            {
                "pairid": number,
                "reference": members[0],
                "target_hard": members[3],
                "target_soft": {members[3]: 1.0},
                "caption": "two dogs",
                "img_set": {"id": number, "members": members, "reference_rank": 0, "target_rank": 3},
            }
        )
    _write(tmp_path / "captions/cap.rc2.val.json", entries)
    _write(tmp_path / "image_splits/split.rc2.val.json", {one: f"./dev/{one}.png" for one in names})
    gallery = _vectors(0, 40, DIMENSIONS)
    text = gallery[3:37] + 0.5 * _vectors(1, 34, DIMENSIONS)
    np.savez(
        tmp_path / "full.npz",
        query_ids=np.array([str(number) for number in range(34)]),
        query_embeddings=text + 0.7 * gallery[:34],
        query_text_embeddings=text,
        query_image_embeddings=gallery[:34],
        gallery_ids=np.array(names),
        gallery_embeddings=gallery,
        gallery_caption_embeddings=gallery[:, None] + 0.2 * _vectors(2, 40, 3, DIMENSIONS),
    )
    return tmp_path


def test_a_subset_that_the_text_explains_is_warned_of(cirr: Path) -> None:
    found = _evaluate(cirr, "full.npz", "a.json", "--html", cirr / "a.html", benchmark="cirr")
    assert any(one.startswith("Rsubset@1 is explained by the text alone") for one in found["warnings"])
    page = (cirr / "a.html").read_text()
    assert "explained by the text alone" in page
    assert "scored by the benchmark&#39;s server; this result is val" in page


def test_superglobal_ranks_the_benchmark_anew(cirr: Path) -> None:
    found = _evaluate(cirr, "full.npz", "r.json", "--rerank", "superglobal", "--rerank-top", 12, benchmark="cirr")
    arrays = np.load(cirr / "full.npz")
    gallery = unit(arrays["gallery_embeddings"].astype(np.float64))
    hits = []
    for number, query in enumerate(unit(arrays["query_embeddings"].astype(np.float64))):
        ranking = [one for one in superglobal(query, gallery, top=12) if one != number]
        hits.append(ranking.index(number + 3) < 5)
    assert found["metrics"]["R@5"] == pytest.approx(100 * np.mean(hits))
    with pytest.raises(ConfigurationError, match="there is superglobal"):
        _evaluate(cirr, "full.npz", "x.json", "--rerank", "else", benchmark="cirr")


def test_weimocir_scores_as_its_formula(cirr: Path) -> None:
    from evaluation.composers import weimocir

    found = _evaluate(cirr, "full.npz", "w.json", "--composer", "weimocir", "--beta", 0.4, benchmark="cirr")
    arrays = {name: array for name, array in np.load(cirr / "full.npz").items() if array.dtype.kind == "f"}
    halves = [unit(arrays[f"query_{one}_embeddings"].astype(np.float64)) for one in ("image", "text")]
    scores = weimocir(*halves, arrays["gallery_embeddings"], arrays["gallery_caption_embeddings"], alpha=0.8, beta=0.4)
    scores[np.arange(34), np.arange(34)] = -np.inf
    ranks = (scores > scores[np.arange(34), np.arange(34) + 3][:, None]).sum(axis=1)
    assert found["metrics"]["R@1"] == pytest.approx(100 * np.mean(ranks < 1))
    assert found["about"]["Composer"] == "weimocir alpha 0.8 beta 0.4"
