import numpy as np
import pytest
import torch

from schemas.errors import ConfigurationError, RunFailedError
from training.dataset import Triplet
from training.fusion_model import encode
from training.scoring import compare, score
from training.train import Features, TrainConfig, train

SHAPES, COLOURS = 6, 5
SMALL = {"width": 48, "layers": 1, "heads": 3, "batch": 32, "threads": 1, "learning_rate": 3e-3}


def toy(seed=0):
    """Images are a shape and a colour with noise; a text names a colour; the target is the query's shape in it."""
    rng = np.random.default_rng(seed)
    names = [f"{shape}{colour}" for shape in range(SHAPES) for colour in range(COLOURS)]
    images = {}
    for name in names:
        vector = np.zeros(SHAPES + COLOURS, np.float32)
        vector[int(name[0])] = vector[SHAPES + int(name[1])] = 1
        images[name] = (vector + rng.normal(0, 0.05, vector.shape)).astype(np.float32)
    meanings = rng.normal(size=(COLOURS, 8)).astype(np.float32)
    texts = {f"in colour {colour}": meanings[colour] for colour in range(COLOURS)}
    triplets = [
        Triplet(f"{query}-{colour}", query, f"{query[0]}{colour}", f"in colour {colour}", (query,))
        for query in names
        for colour in range(COLOURS)
        if int(query[1]) != colour
    ]
    return names, Features(images, texts), [triplets[index] for index in rng.permutation(len(triplets))]


def said(lines):
    return lines.append


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_task_that_needs_both_halves_is_learned():
    names, features, triplets = toy()
    seen, unseen = triplets[:90], triplets[90:]
    lines = []
    model = train(seen, features, TrainConfig(steps=100, **SMALL), lines.append)
    found = compare(model, unseen, names, features)
    assert found["image and text"]["R@1"] > 95
    # Half of a query leaves as many images as there are colours or shapes.
    assert found["image only"]["R@1"] < 50
    assert found["text only"]["R@1"] < 50
    assert lines[0].startswith("step 1 of 100: loss")
    assert lines[-1].startswith("step 100 of 100: loss")


def test_without_the_query_negative_the_query_itself_comes_first():
    """MagicLens, section 3.3: what the query negative is for, where query images are nobody's target."""
    names, features, triplets = toy()
    asking = [one for one in triplets if one.query_image_id[1] == "0"]
    where = {name: index for index, name in enumerate(names)}

    def first_is_query(query_negative):
        model = train(asking, features, TrainConfig(steps=60, query_negative=query_negative, **SMALL), str)
        asked = features.of_images([one.query_image_id for one in asking])
        queries = encode(model, asked, features.of_texts([one.instruction for one in asking]))
        scores = queries @ encode(model, features.of_images(names), None).T
        return (scores.argmax(1) == [where[one.query_image_id] for one in asking]).mean()

    assert first_is_query(True) < 0.1
    assert first_is_query(False) > 0.9


def test_equal_settings_give_equal_weights():
    _, features, triplets = toy()
    config = TrainConfig(steps=6, **SMALL)
    first = weights(train(triplets, features, config, str))
    torch.rand(3)
    assert equal(first, weights(train(triplets, features, config, str)))
    assert not equal(first, weights(train(triplets, features, TrainConfig(steps=6, seed=1, **SMALL), str)))


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path):
    _, features, triplets = toy()
    config = TrainConfig(steps=9, checkpoint_steps=4, **SMALL)
    whole = weights(train(triplets, features, config, str))

    class StoppedError(Exception):
        pass

    class Halting(Features):
        """Features that are lost after six batches."""

        batches = 0

        def of_texts(self, texts):
            Halting.batches += 1
            if Halting.batches > 6:
                raise StoppedError
            return super().of_texts(texts)

    halted = Halting(features.images, features.texts)
    with pytest.raises(StoppedError):
        train(triplets, halted, config, str, tmp_path)
    lines = []
    resumed = train(triplets, features, config, lines.append, tmp_path, resume=True)
    assert lines[0] == "goes on at step 5 of 9"
    assert equal(whole, weights(resumed))
    with pytest.raises(ConfigurationError, match="other settings"):
        train(triplets, features, TrainConfig(steps=10, **SMALL), str, tmp_path, resume=True)
    with pytest.raises(ConfigurationError, match="another dataset"):
        train(triplets[1:], features, config, str, tmp_path, resume=True)
    # Without --resume the checkpoint is not looked at.
    assert equal(whole, weights(train(triplets, features, config, str, tmp_path)))


def test_one_step_and_few_triplets():
    _, features, triplets = toy()
    train(triplets[:1], features, TrainConfig(steps=1, **SMALL), str)
    with pytest.raises(ConfigurationError, match="no training triplets"):
        train([], features, TrainConfig(), str)


def test_a_loss_that_is_no_number_stops():
    _, features, triplets = toy()
    broken = Features(features.images, dict.fromkeys(features.texts, np.full(8, np.nan, np.float32)))
    with pytest.raises(RunFailedError, match="step 1: lower learning_rate"):
        train(triplets, broken, TrainConfig(steps=3, **SMALL), str)


def test_scores_worked_by_hand():
    ids = ["q", "a", "b", "t", "u"]
    angles = np.radians([0, 10, 20, 30, 90])
    gallery = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    triplets = [Triplet("1", "q", "t", "x", ()), Triplet("2", "q", "a", "x", ()), Triplet("3", "a", "u", "x", ())]
    # At 25°: b and t tie nearest but one… at 26° t is first; at 0° a is first, q is out; at 0° u is last of four.
    asked = np.radians([26, 0, 0])
    queries = np.stack([np.cos(asked), np.sin(asked)], axis=1).astype(np.float32)
    assert score(queries, gallery, triplets, ids) == pytest.approx(
        {"R@1": 200 / 3, "R@5": 100.0, "R@10": 100.0, "mAP@10": (1 + 1 + 1 / 4) / 3 * 100}
    )


def test_images_that_tie_with_the_target_go_before_it():
    gallery = np.array([[1, 0], [0, 1], [0, 1], [0, 1]], np.float32)
    found = score(np.array([[0, 1]], np.float32), gallery, [Triplet("1", "q", "t", "x", ())], ["q", "t", "u", "v"])
    assert found == pytest.approx({"R@1": 0.0, "R@5": 100.0, "R@10": 100.0, "mAP@10": 100 / 3})


def test_what_is_no_setting():
    for settings in ({"steps": 0}, {"heads": 5}, {"tempo": 3}, {"learning_rate": "fast"}):
        with pytest.raises(ValueError, match=r"steps|heads|tempo|learning_rate"):
            TrainConfig(**settings)
