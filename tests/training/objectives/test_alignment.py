import math

import numpy as np
import pytest
import torch
from drawn_pictures import COLOURS, SHAPES, colour_task, drawn, write_dataset
from short_trainings import QUIET, falls, logged, settings
from small_batches import batch_of, row, unit

from schemas.errors import ConfigurationError
from training.data.image_store import GivenImages
from training.data.image_texts import fill_nearest, without_texts, write_image_texts
from training.data.sources import Sources
from training.items import ItemList
from training.models.make import make_retriever
from training.objectives.alignment import Alignment, pair_losses, with_margin
from training.objectives.config import AlignmentConfig
from training.objectives.info_nce import NOBODY
from training.objectives.interface import StageStart, Step
from training.run import train
from training.surroundings import Surroundings

FIXED = AlignmentConfig(temperature=0.5, learn_temperature=False)
TEXT_SIDE = ["text_map", "text_tower"]
#: Images 1 and 2 have two texts each, image 3 one, image 4 none.
ROWS = [
    row(1, 2, query_text="one", target_text="two"),
    row(1, 2, query_text="first", target_text="second"),
    row(3, 4, query_text="three"),
]


def similarity(one, other, more=0.0):
    """exp of a cosine at temperature 0.5, of angles in degrees; `more` is added to the angle between them."""
    return math.exp(math.cos(abs(math.radians(one - other)) + more) / 0.5)


def by_hand(images, texts, margin=0.0):
    """The loss of each image with each of its texts, at these angles; `images` by name, `texts` by image's name."""
    found = {}
    for name, angle in images.items():
        for text in texts[name]:
            own = similarity(angle, texts[name][text], margin)
            others = sum(
                similarity(angle, place)
                for other in images
                if other != name
                for one, place in texts[other].items()
                if one not in texts[name]
            )
            back = sum(
                similarity(place, texts[name][text]) for other, place in images.items() if text not in texts[other]
            )
            found[name, text] = (math.log(own + others) + math.log(own + back)) / 2 - math.log(own)
    return found


def losses_of(images, texts, ids, names, margin=0.0):
    vectors = torch.tensor([unit(one) for one in images], requires_grad=True)
    said = torch.tensor([[unit(one) for one in own] for own in texts], requires_grad=True)
    found = pair_losses(vectors, said, torch.tensor(names), torch.tensor(ids), torch.tensor(2.0), margin)
    (found * (torch.tensor(ids) != NOBODY)).sum().backward()
    assert vectors.grad.isfinite().all()
    assert said.grad.isfinite().all()
    return found


@pytest.mark.parametrize("margin", [0.0, 0.2])
def test_worked_by_hand(margin):
    # The second image has one text, and the text 11 is of two images.
    found = losses_of(
        [0, 60, 200], [[10, 30], [80, 999], [190, 30]], [[10, 11], [12, NOBODY], [13, 11]], [1, 2, 3], margin
    )
    texts = {"a": {"x": 10, "y": 30}, "b": {"z": 80}, "c": {"w": 190, "y": 30}}
    expected = by_hand({"a": 0, "b": 60, "c": 200}, texts, margin)
    pairs = [("a", "x"), ("a", "y"), ("b", "z"), ("c", "w"), ("c", "y")]
    assert found.flatten()[[0, 1, 2, 4, 5]].tolist() == pytest.approx([expected[one] for one in pairs], abs=1e-5)


def test_an_image_that_stands_there_twice_is_no_negative_of_its_texts():
    twice = losses_of([0, 0, 60], [[10], [10], [80]], [[10], [10], [12]], [1, 1, 2])
    once = by_hand({"a": 0, "b": 60}, {"a": {"x": 10}, "b": {"z": 80}})
    # To the other's text there are two wrong images, and to the other image two wrong texts.
    assert twice[0].item() == twice[1].item() == pytest.approx(once["a", "x"], abs=1e-5)
    assert twice[2].item() > once["b", "z"]


def test_nothing_to_compare_with():
    alone = losses_of([0], [[50, 0]], [[10, NOBODY]], [1])
    assert alone[0, 0].item() == pytest.approx(0, abs=1e-6)


def test_the_margin_is_an_angle():
    found = with_margin(torch.tensor([1.0, 0.5, -1.0]), 0.3)
    expected = [math.cos(math.acos(one) + 0.3) for one in (1.0, 0.5, -1.0)]
    assert found.tolist() == pytest.approx(expected, abs=1e-3)


def begun(folder, config=FIXED, rows=ROWS, retriever=None, said=None):
    objective = Alignment(config)
    sources = Sources(range(6))
    say = (lambda _: None) if said is None else said.append
    objective.begin(StageStart(retriever, sources, lambda: iter(rows), folder, 0, say))
    return objective


def test_images_stand_with_their_own_texts_and_the_whole_loss(tmp_path):
    objective, items = begun(tmp_path), ItemList()
    plan = objective.plan(batch_of([ROWS[0], ROWS[2]]), items, None)
    shown = [items.items[one].image for one in plan["images"]]
    assert shown == [1, 2, 3, 4]
    assert plan["image_ids"].tolist() == shown
    texts = [[items.items[one].text for one in own] for own in plan["texts"].unflatten(0, (4, 2))]
    assert [sorted(one) for one in texts] == [["first", "one"], ["second", "two"], ["", "three"], ["", ""]]
    angles = {1: 0, 2: 60, 3: 200, 4: 90, "one": 10, "first": 20, "two": 70, "second": 50, "three": 250}
    embeddings = torch.tensor([unit(angles[one.text or one.image]) for one in items.items])
    loss = objective(embeddings, plan, Step())
    own = {1: {"one": 10, "first": 20}, 2: {"two": 70, "second": 50}, 3: {"three": 250}}
    expected = by_hand({1: 0, 2: 60, 3: 200}, own)
    # Image 4 has no text, and so it says nothing of the others' either.
    assert loss.item() == pytest.approx(sum(expected.values()) / 5, abs=1e-5)


def test_a_hidden_query_counts_for_nothing(tmp_path):
    objective, items = begun(tmp_path), ItemList()
    plan = objective.plan(batch_of([row(-1, 2)]), items, None)
    assert plan["image_ids"].tolist() == [-1, 2]
    assert (plan["text_ids"] == NOBODY).tolist() == [[True, True], [False, False]]


def test_a_batch_without_texts_has_no_loss(tmp_path):
    objective, items = begun(tmp_path), ItemList()
    plan = objective.plan(batch_of([row(4, 5)]), items, None)
    embeddings = torch.tensor([unit(30 * place) for place in range(len(items.items))], requires_grad=True)
    loss = objective(embeddings, plan, Step())
    loss.backward()
    assert loss.item() == 0
    assert not embeddings.grad.any()


def test_nearest_texts(tmp_path):
    shown = [(0, "left"), (1, "right"), (2, ""), (3, "up"), (1, "right"), (1, "up")]
    found = write_image_texts(tmp_path, 6, 2, lambda: iter(shown), ["down", "left"])
    assert sorted(found.texts) == ["down", "left", "right", "up"]
    assert [[found.texts[one] for one in found.of(image)] for image in range(6)] == [
        ["left"],
        ["right", "up"],
        [],
        ["up"],
        [],
        [],
    ]
    # Images 4 and 5 are shown by no row.
    assert without_texts(found).tolist() == [2]
    places = {"left": 180, "right": 0, "up": 90, "down": 270}
    vectors = torch.tensor([unit(places[one]) for one in found.texts])
    filled = fill_nearest(
        tmp_path,
        without_texts(found),
        lambda numbers: torch.tensor([unit(240) for _ in numbers]) * 5,
        lambda some: vectors[some.start : some.stop],
    )
    assert [filled.texts[one] for one in filled.of(2)] == ["down", "left"]


def test_pseudo_captions_are_the_nearest_of_the_published_towers(tiny_clip, tmp_path):
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel

    from training.data.image_store import picture

    names = [(shape, colour) for shape in SHAPES for colour in COLOURS][:12]
    files = [drawn(*one) for one in names]
    said = [f"a {colour} {shape}" for shape, colour in names]
    rows = [row(0, place, query_text=said[0], target_text=said[place] if place < 9 else "") for place in range(1, 12)]
    model = make_retriever(settings(tiny_clip).model)
    with torch.no_grad():
        for one in model.parameters():
            one.add_(0.1)
    told: list[str] = []
    objective = Alignment(FIXED)
    images = GivenImages(files, [str(one) for one in range(12)])
    (tmp_path / "more.txt").write_text("the same\n\nnot this one\n")
    objective.config = FIXED.model_copy(update={"texts": str(tmp_path / "more.txt")})
    objective.begin(StageStart(model, Sources(images), lambda: iter(rows), tmp_path / "w", 0, told.append))
    found = objective._texts
    clip = CLIPModel.from_pretrained(tiny_clip)
    pool = [*said[:9], "the same", "not this one"]
    with torch.inference_mode():
        pixels = CLIPImageProcessorPil.from_pretrained(tiny_clip)(
            images=[picture(one, "it") for one in files[9:]], return_tensors="pt"
        )
        tokens = AutoTokenizer.from_pretrained(tiny_clip)(pool, padding=True, return_tensors="pt")
        shown = clip.get_image_features(**pixels).pooler_output
        texts = clip.get_text_features(**{k: tokens[k] for k in ("input_ids", "attention_mask")}).pooler_output
    cosines = torch.nn.functional.cosine_similarity(shown[:, None], texts[None], dim=-1)
    for image, row_of in zip((9, 10, 11), cosines, strict=True):
        assert [found.texts[one] for one in found.of(image)] == [pool[one] for one in row_of.topk(2).indices]
    assert "3 images without a text got the nearest of 11 texts" in told


def test_towers_that_share_no_space_give_no_pseudo_captions(tmp_path):
    told: list[str] = []
    objective = begun(tmp_path, retriever=torch.nn.Identity(), said=told)
    assert told == ["1 images have no text, and get none: the towers share no space"]
    assert objective._texts.of(4) == []


def test_data_without_texts(tmp_path):
    bare = [row(1, 2), row(2, 3)]
    with pytest.raises(ConfigurationError, match="no row of the dataset has a query_text or target_text"):
        begun(tmp_path / "a", rows=bare)
    with pytest.raises(ConfigurationError, match=r"cannot read objectives\.alignment\.texts"):
        begun(tmp_path / "b", FIXED.model_copy(update={"texts": str(tmp_path / "none.txt")}))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Triplets with captions, and pictures of their own to be looked for."""
    root = tmp_path_factory.mktemp("colours")
    images, rows = colour_task(np.random.default_rng(0))
    write_dataset(root, images, rows[:120])
    return write_dataset(root, images, rows, "validation")


def test_a_training_that_keeps_texts_and_images_together(dataset, tiny_clip, tmp_path):
    objectives = {"info_nce": None, "alignment": {}}
    model = {"width": None}
    told: list[str] = []
    train(
        dataset,
        tmp_path / "m",
        settings(tiny_clip, "sum", model=model, run={"steps": 60}, objectives=objectives),
        Surroundings(told.append),
    )
    losses, recalls = logged(tmp_path / "m", "loss"), logged(tmp_path / "m", "text_to_image_R@1")
    assert falls(losses, 0.7), losses
    assert len(recalls) == 2
    # 36 pictures: chance is 2.8%.
    assert recalls[0] < 20, recalls
    assert recalls[1] > 50, recalls
    assert [one for one in told if one.startswith("texts find images before training: R@1 ")]
    assert [one for one in told if one.startswith("texts find images after training: R@1 ")]


def test_a_locked_image_tower_and_the_text_side_trained_to_it(dataset, tiny_clip, tmp_path):
    stages = [
        {"name": "images", "objectives": {"info_nce": {}}, "run": {"steps": 30}},
        {
            "name": "texts",
            "objectives": {"info_nce": None, "alignment": {}},
            "train": TEXT_SIDE,
            "run": {"steps": 60},
        },
    ]
    both = train(dataset, tmp_path / "both", settings(tiny_clip, "sum", stages=stages), QUIET)
    recalls = logged(tmp_path / "both", "text_to_image_R@1")
    assert len(recalls) == 3
    assert recalls[2] > recalls[1] + 20, recalls
    first = train(dataset, tmp_path / "first", settings(tiny_clip, "sum", stages=stages[:1]), QUIET)
    assert logged(tmp_path / "first", "text_to_image_R@1") == []
    for name, one in first.state_dict().items():
        if not name.startswith(tuple(TEXT_SIDE)):
            assert torch.equal(one, both.state_dict()[name]), name
