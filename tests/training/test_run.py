"""Whole trainings with a tiny CLIP on drawn pictures: composition is learned, and what the query negative is for."""

import numpy as np
import pytest
from drawn_pictures import colour_task, write_dataset

from training.config import train_config
from training.embedding import embed
from training.items import Item
from training.run import Surroundings, scored_split, train

QUIET = Surroundings(lambda _: None)
TOY = {"steps": 150, "batch": 64, "learning_rate": 1e-3, "threads": 1, "report_to": [], "log_steps": 50}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two thirds of the changes are trained on; the others are asked for, among all pictures."""
    root = tmp_path_factory.mktemp("colours")
    images, rows = colour_task(np.random.default_rng(0))
    write_dataset(root, images, rows[:120])
    write_dataset(root, images, rows[120:], "test")
    return root


def trained(dataset, tiny_clip, folder, **sections):
    model = {"image_tower": str(tiny_clip), "text_tower": None, "width": 48, "layers": 2, "heads": 4}
    config = train_config({"model": model | {"train_towers": "all"}, "run": TOY, **sections})
    return train(dataset, folder, config, QUIET)


def test_a_task_that_needs_both_halves_is_learned(dataset, tiny_clip, tmp_path):
    """The changes that are asked for were never seen: composition is what finds them, not memory."""

    def recall(model, shown, said):
        split = scored_split(dataset, "test", model, tmp_path, QUIET)
        gallery = embed(model, [Item(number) for number in split.gallery], split.sources)
        items = [Item(row.query if shown else None, row.texts[0] if said else "") for row in split.rows]
        return split.evaluate(embed(model, items, split.sources), gallery).metrics["R@1"]

    fusion = trained(dataset, tiny_clip, tmp_path / "fusion")
    assert recall(fusion, True, True) > 95
    # Controls that are trained as long without a half: five colours, or six shapes, are left to guess from.
    images = trained(dataset, tiny_clip, tmp_path / "images", data={"hide": "text"})
    texts = trained(dataset, tiny_clip, tmp_path / "texts", data={"hide": "image"})
    assert recall(images, True, False) < 35
    assert recall(texts, False, True) < 35


def test_without_the_query_negative_the_query_itself_comes_first(dataset, tiny_clip, tmp_path):
    """MagicLens, section 3.3. Pictures in red ask, and are nobody's target: only the query negative leads away."""
    root = tmp_path / "red"
    images, rows = colour_task(np.random.default_rng(0))
    write_dataset(root, images, [row for row in rows if "-red-" in row["query"]])

    def queries_first(query_negative):
        objectives = {"info_nce": {"query_negative": query_negative}}
        config = train_config(
            {
                "model": {"image_tower": str(tiny_clip), "text_tower": None, "width": 48, "layers": 2, "heads": 4}
                | {"train_towers": "all"},
                "objectives": objectives,
                "run": TOY | {"steps": 100},
            }
        )
        model = train(root, tmp_path / f"model-{query_negative}", config, QUIET)
        split = scored_split(root, "train", model, tmp_path / "work", QUIET)
        gallery = embed(model, [Item(number) for number in split.gallery], split.sources)
        asked = embed(model, [Item(row.query, row.texts[0]) for row in split.rows], split.sources)
        return np.mean((asked @ gallery.T).argmax(1) == [row.query for row in split.rows])

    assert queries_first(True) < 0.1
    assert queries_first(False) > 0.9
