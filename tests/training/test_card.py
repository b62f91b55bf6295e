"""The card of a model says what it was made of, and holds for the hub."""

import numpy as np
import pytest
import yaml
from drawn_pictures import colour_task, write_dataset

from training.card import best_scores, model_card
from training.config import train_config
from training.models.make import make_retriever
from training.run import Surroundings, train

QUIET = Surroundings(lambda _: None)


def front_matter(card):
    _, matter, rest = card.split("---\n", 2)
    return yaml.safe_load(matter), rest


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("colours")
    images, rows = colour_task(np.random.default_rng(0))
    write_dataset(root, images, rows[:60])
    return write_dataset(root, images, rows[60:80], "validation")


def settings(tiny_clip, **sections):
    model = {"kind": "sum", "image_tower": str(tiny_clip), "text_tower": None, "width": 16}
    run = {"steps": 4, "batch": 8, "threads": 1, "report_to": [], "evaluate_steps": 2}
    return train_config({"model": model, "run": run | sections.pop("run", {}), **sections})


def test_a_training_leaves_its_card(dataset, tiny_clip, tmp_path):
    import json

    model = train(dataset, tmp_path / "model", settings(tiny_clip), QUIET)
    card = (tmp_path / "model" / "README.md").read_text()
    matter, text = front_matter(card)
    assert matter["library_name"] == "lensmith"
    assert {"composed-image-retrieval", "sum"} <= set(matter["tags"])
    assert "base_model" not in matter
    history = json.loads((tmp_path / "model" / "history.json").read_text())
    scored = [one for one in history if "eval_R@10" in one]
    best = max(one["eval_R@10"] for one in scored)
    assert f"{best:.2f}" in text.split("## Scores")[1].split("## How")[0]
    assert "| training | 60 | 36 | 4 | 8 |" in text
    assert "`info_nce`: InfoNCE over the global batch" in text
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    assert f"{trained:,} were trained" in text
    # Neither the folder of the tower nor that of the dataset.
    assert str(tiny_clip.parent) not in card
    assert str(dataset.parent) not in card
    assert "tiny-clip" in card
    again = yaml.safe_load(card.split("```yaml\n")[1].split("```")[0])
    assert again["run"]["steps"] == 4
    # Equal trainings have equal cards.
    train(dataset, tmp_path / "other", settings(tiny_clip), QUIET)
    assert (tmp_path / "other" / "README.md").read_text() == card


def test_stages_objectives_and_models_of_the_hub(tiny_clip):
    stages = [{"name": "first | one"}, {"name": "second", "objectives": {"uncertainty": {"weight": 0.5}}}]
    config = settings(tiny_clip, stages=stages)
    model = make_retriever(config.model)
    model.image_tower.name, model.image_tower.weights = "openai/some-clip", "hub"
    facts = {"second": {"triplets": 12345, "images": 678}}
    card = model_card(config, model, facts, [], "hf://datasets/somebody/triplets@main/more")
    matter, text = front_matter(card)
    assert matter["base_model"] == ["openai/some-clip"]
    assert matter["datasets"] == ["somebody/triplets"]
    assert "| image tower | openai/some-clip |" in text
    assert "from the Hugging Face hub" in text
    assert r"| first \| one |  |  | 4 | 8 |" in text
    assert "| second | 12,345 | 678 | 4 | 8 |" in text
    assert "### second\n\n- `info_nce`" in text
    assert "`uncertainty` with weight 0.5: " in text
    assert "was not scored on the way" in text
    assert all("|" not in line or line.startswith(("|", " ", "-", "<", "name", "#")) for line in text.splitlines())


def test_scores_are_those_of_the_kept_checkpoint(tiny_clip):
    config = settings(tiny_clip, stages=[{"name": "one"}, {"name": "two"}])
    history = [
        {"stage": "one", "step": 2, "eval_R@10": 99.0, "eval_R@1": 98.0},
        {"stage": "two", "step": 2, "eval_R@10": 50.0, "eval_R@1": 10.0},
        {"stage": "two", "step": 4, "eval_R@10": 50.0, "eval_R@1": 20.0},
        {"stage": "two", "step": 4, "loss": 1.0},
    ]
    assert best_scores(history, config) == {"R@10": 50.0, "R@1": 10.0}
    assert best_scores(history[:1], config) == {}
    assert best_scores([], config) == {}
