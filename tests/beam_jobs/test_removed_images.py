"""Images that the whole crawl does without: near duplicates over pages, and images and texts of benchmarks."""

from __future__ import annotations

import shutil

import pytest
import yaml
from PIL import Image, ImageOps
from wired_crawl import (
    HOST,
    OTHER,
    Pages,
    annotated_crawl,
    command,
    face,
    file_of,
    mirrored,
    names,
    opened,
    picture,
    resized,
    scene,
    tables,
)

from lensmith.settings import load_settings
from mining.annotation import AnnotateConfig, load_models
from mining.decontamination.config import FingerprintConfig
from mining.decontamination.make import make_fingerprints
from mining.decontamination.write import ImagePrints, Origin, TextPrints, write_fingerprints
from schemas.errors import ConfigurationError
from schemas.storage import Folder

TWINS = {"near_duplicates": {}, "excluded_languages": ["fr"]}


def dropped(crawl, reason):
    """Address → detail of the places that fell."""
    return {row["url"]: row["detail"] for row in crawl.rejected() if (row["unit"], row["reason"]) == ("place", reason)}


def image_ids(crawl):
    return {row["url"]: row["image_id"] for row in tables(crawl, "images")}


def test_of_near_duplicates_the_largest_survives_and_the_others_name_it(crawl):
    before = crawl.mine()
    assert {f"{OTHER}/d/small.png"} <= {row["query_image_url"] for row in before}
    pairs = crawl.mine(**TWINS)
    survivor = image_ids(crawl)[f"{HOST}/d/large.png"]
    assert dropped(crawl, "near_duplicate_of") == {f"{OTHER}/d/small.png": survivor}
    assert f"{HOST}/d/large.png" in {row["query_image_url"] for row in pairs}
    assert not {f"{OTHER}/d/small.png"} & {row[f"{side}_image_url"] for row in pairs for side in ("query", "target")}
    assert crawl.entries()["place"]["rejected"]["near_duplicate_of"] == 1


def test_what_no_page_can_use_survives_in_no_ones_place(crawl):
    """Larger files that no page shows, that opt out, of an excluded language, of another size of one picture."""
    shown = {row["query_image_url"] for row in crawl.mine(**TWINS)}
    for name in ("thumb", "open", "free", "english"):
        assert f"{HOST}/d/{name}.png" in shown, name
    (sizes,) = {url for url in shown if "/d/set-" in url}
    assert sizes == f"{HOST}/d/set-large.png"
    # Where a language is wanted, its larger image is the survivor.
    crawl.mine(near_duplicates={})
    ids = image_ids(crawl)
    assert dropped(crawl, "near_duplicate_of")[f"{HOST}/d/english.png"] == ids[f"{OTHER}/d/francais.png"]
    crawl.mine(near_duplicates={}, opt_out="keep")
    fallen = dropped(crawl, "near_duplicate_of")
    assert fallen[f"{HOST}/d/open.png"] == ids[f"{OTHER}/d/closed.png"]
    assert fallen[f"{HOST}/d/free.png"] == ids[f"{OTHER}/d/header.png"]


def test_an_image_too_flat_for_pairs_takes_no_place(crawl):
    by_hash = {"near_duplicates": {"similarity": None}, "excluded_languages": ["fr"]}
    hashes = {row["image_id"]: int(row["phash"], 16) for row in tables(crawl, "annotations")}
    ids = image_ids(crawl)
    strip, whole = (hashes[ids[f"{HOST}/d/{name}.png"]] for name in ("strip", "whole"))
    assert (strip ^ whole).bit_count() <= 2
    assert f"{HOST}/d/whole.png" in {row["query_image_url"] for row in crawl.mine(**by_hash)}
    assert f"{HOST}/d/strip.png" in dropped(crawl, "too_small")
    crawl.mine(**by_hash, min_side=90)
    assert dropped(crawl, "near_duplicate_of")[f"{HOST}/d/whole.png"] == ids[f"{HOST}/d/strip.png"]


def test_what_looks_the_same_to_the_features_leaves_one_survivor_whatever_the_hashes(tmp_path):
    """A photograph, and smaller on another site mirrored, in other colours and as JPEG: no hash sees that. Of that
    copy there is a smaller one still, which is near it by its hash."""
    photo, made = opened(face()), Pages()
    red, green, blue = ImageOps.mirror(photo).resize((230, 270)).split()
    copy = file_of(Image.merge("RGB", (green, red, blue)), "JPEG", quality=80)
    made.page(f"{HOST}/a.html", [("/photo.png", "An officer", face()), ("/mill.png", "A mill", picture(100))])
    vase = file_of(scene(1, 1, side=200))
    made.page(f"{OTHER}/b.html", [("/copy.jpg", "The officer again", copy), ("/vase.png", "A vase", vase)])
    made.page(f"{OTHER}/c.html", [("/small.png", "The officer, small", resized(copy, (184, 216)))])
    crawl = annotated_crawl(tmp_path, made.answers, 3)
    windows = {"co_occurrence": {"visual_min": -1, "text_min": -1}}
    ids = image_ids(crawl)
    hashes = {row["image_id"]: int(row["phash"], 16) for row in tables(crawl, "annotations")}
    first, second, third = (f"{HOST}/photo.png", f"{OTHER}/copy.jpg", f"{OTHER}/small.png")
    assert (hashes[ids[first]] ^ hashes[ids[second]]).bit_count() > 16
    by_hash = {third: ids[second]}
    shown = {row["query_image_url"] for row in crawl.mine(**windows, near_duplicates={})}
    assert {first, second} <= shown
    assert dropped(crawl, "near_duplicate_of") == by_hash
    by_features = {"near_duplicates": {"feature_similarity": 0.8}}
    for search in ({}, {"search": {"images_per_part": 1}}):
        pairs = crawl.mine(bool(search), **windows, **by_features, **search)
        # Who its hash names is gone too, and names the survivor of its features.
        assert dropped(crawl, "near_duplicate_of") == by_hash | {second: ids[first]}
        assert set(names(pairs)) == {("photo.png", "mill.png"), ("mill.png", "photo.png")}
    # Two shards have images that hashes leave: each is searched for itself, and both for each other.
    assert crawl.worked["mine_pairs.near_search"] == 3
    assert crawl.entries()["place"]["rejected"]["near_duplicate_of"] == 2
    crawl.mine(True, **windows, **by_features, **search)
    assert not any(crawl.worked.values())


# Texts and images of a benchmark.

#: The crawl's pictures are noise of one kind, whose features are near to one another: here hashes decide.
BY_HASH = {"hash_distance": 4, "feature_similarity": 1.0, "feature_alone": 1.0}


def benchmark(path, images, texts=(), name="Bench"):
    folder = path / name
    folder.mkdir()
    for number, data in enumerate(images):
        (folder / f"{number}.png").write_bytes(data)
    if texts:
        (folder / "captions.txt").write_text("\n".join(texts))
    models = AnnotateConfig(safety_model=None)
    file = path / f"{name}.parquet"
    encoder = load_models(models).images
    make_fingerprints(
        Folder(str(folder)), str(file), name, encoder, FingerprintConfig(words=4), models, lambda *_: None
    )
    return str(file)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A benchmark of a resized, a mirrored and a recompressed copy of the crawl's pictures."""
    path = tmp_path_factory.mktemp("bench")
    copies = [
        resized(picture(100), (300, 233)),
        mirrored(picture(120)),
        resized(picture(140), (180, 140), "JPEG", quality=60),
    ]
    return benchmark(path, copies)


FALLEN = {f"{HOST}/w/spring.png", f"{OTHER}/t/arch.png", f"{HOST}/r/tower.png"}


def test_copies_of_a_benchmarks_images_are_gone_and_the_card_says_so(crawl, planted):
    crawl.publish(mine_pairs={"decontaminate": {**BY_HASH, "files": [planted]}})
    found = dropped(crawl, "in_benchmark")
    assert found.keys() == FALLEN
    assert all(detail.startswith("Bench (") for detail in found.values())
    ids = image_ids(crawl)
    gone = {ids[url] for url in FALLEN}
    for row in (*crawl.published(), *tables(crawl)):
        assert not gone & {row["query_image_id"], row["target_image_id"], *row["hard_negatives"]}
    assert not gone & {row["image_id"] for row in crawl.published("images")}
    counts = crawl.entries()
    assert counts["image"]["rejected"] == {"in_benchmark": 3}
    assert counts["place"]["rejected"]["in_benchmark"] == 3
    card = crawl.card()
    assert "were checked against Bench (3 images, 0 texts)" in card
    assert "What fell: 3 images, 0 triplets, 0 further texts." in card
    # Without the setting everything is back, and nothing is left of it in the funnel.
    crawl.publish()
    assert "image" not in crawl.entries()
    assert "The dataset was not checked against any benchmark" in crawl.card()
    assert gone & {row["image_id"] for row in crawl.published("images")}


def test_triplets_with_a_benchmarks_text_are_gone(crawl, tmp_path):
    crawl.publish()
    before = crawl.published()
    said = max((row["instruction"] for row in before), key=lambda text: len(text.split()))
    file = benchmark(tmp_path, [], [said], "Said")
    crawl.publish(mine_pairs={"decontaminate": {"files": [file]}})
    after = crawl.published()
    assert said not in {text["text"] for row in after for text in row["instructions"]}
    assert {row["triplet_id"] for row in after} < {row["triplet_id"] for row in before}
    fell = len(before) - len(after)
    assert crawl.entries("publish_dataset")["triplet"]["rejected"] == {"in_benchmark": fell}
    (row,) = [row for row in crawl.rejected("publish_dataset") if row["detail"] == f"Said: {said}"][:1]
    assert row["reason"] == "in_benchmark"
    card = crawl.card()
    assert "were checked against Said (0 images, 1 texts)" in card
    assert f"What fell: 0 images, {fell} triplets," in card
    crawl.publish(mine_pairs={"decontaminate": {"files": [file], "text_ngrams": 0}})
    assert crawl.published() == before
    assert "texts were not compared" in crawl.card()


def test_a_changed_file_redoes_what_hangs_on_it_and_nothing_else(crawl, planted, tmp_path):
    file = tmp_path / "changing.parquet"
    shared = [picture(270 + 10 * number) for number in range(3)]
    settings = {"decontaminate": {**BY_HASH, "files": [str(file)]}}

    def mined(path):
        shutil.copyfile(path, file)
        pairs = crawl.mine(**settings)
        return {(*name, row["page_url"]) for name, row in zip(names(pairs), pairs, strict=True)}

    # Two pages show the same three pictures: as long as one is gone, they meet by the other two alone.
    one = mined(benchmark(tmp_path, shared[:1], name="one"))
    assert len({page for *_, page in one if "/q" in page}) == 1
    other = mined(planted)
    assert crawl.worked["annotate_images"] == 0
    assert crawl.worked["mine_pairs.decontaminate"] == 3
    assert len({page for *_, page in other if "/q" in page}) == 1
    assert crawl.entries()["page"]["rejected"]["same_image_set"] == 1
    mined(planted)
    assert not any(crawl.worked.values())


def test_a_survivor_of_a_benchmark_takes_its_near_duplicates_along(crawl, tmp_path):
    file = benchmark(tmp_path, [resized(picture(200), (300, 233))])
    crawl.mine(near_duplicates={}, decontaminate={**BY_HASH, "files": [file]})
    assert f"{HOST}/d/large.png" in dropped(crawl, "in_benchmark")
    # In both lists the benchmark is the reason that counts.
    assert f"{OTHER}/d/small.png" in dropped(crawl, "in_benchmark")


def test_files_that_cannot_be_used_end_in_a_sentence_before_any_work(crawl, tmp_path):
    other = str(tmp_path / "other.parquet")
    model = load_settings("local").annotate_images
    prints = ImagePrints(["a.png"], sketches=[])
    origin = Origin("Other", "another@2", FingerprintConfig(), model.max_pixels)
    from test_decontaminate import HASHES, SKETCHES

    prints.sketches.append(SKETCHES[:1])
    prints.hashes.extend(HASHES[0].tolist())
    write_fingerprints(other, origin, prints, TextPrints())
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and nothing more")
    for file, said in (
        (other, "was made with the image model another@2, the crawl's images were looked at by efficientnet-lite0@"),
        (str(tmp_path / "none.parquet"), "there is no fingerprint file"),
        (str(broken), "is no fingerprint file, or is broken"),
    ):
        status, text = command(crawl, "mine-pairs", mine_pairs={"decontaminate": {"files": [file]}})
        assert status == 2
        assert said in text
        assert not (crawl.path / "pairs").exists()
    with pytest.raises(ConfigurationError, match="another@2"):
        crawl.mine(decontaminate={"files": [other]})


def test_options_that_are_off_leave_the_bytes_as_they_were(crawl):
    crawl.publish()
    plain, card = crawl.data(), crawl.card()
    off = yaml.safe_load("{near_duplicates: null, decontaminate: {files: []}, generated: keep, scores: [], filter: {}}")
    crawl.publish(
        mine_pairs={**off, "miners": ["co_occurrence"], "quotas": {}},
        write_instructions={"filters": {"people_words": []}},
        publish_dataset={"blur_faces": "none"},
    )
    assert (crawl.data(), crawl.card()) == (plain, card)
    assert not any(crawl.worked.values())
    # On, and with nothing to do: the rows are the same.
    crawl.publish(mine_pairs={"near_duplicates": {"distance": 0, "similarity": 1.0}})
    assert crawl.data() == plain
    assert crawl.worked["usable_images"] == 1
