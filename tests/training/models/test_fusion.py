"""Fusion and sum: what they make of towers that are not trained."""

import numpy as np
import pytest
import tiny_backbones as tiny
import torch
from embedded import NAMES, made, sources, vectors

from evaluation.composers.slerp import slerp as composed
from schemas.errors import ConfigurationError
from training.data.towers_features import frozen_sources
from training.embedding import embed
from training.items import Item
from training.models.item_features import slerp

TEXTS = ["the same in red", "a blue ring and not this", "one", ""]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return str(tiny.clip(tmp_path_factory.mktemp("backbones") / "clip"))


@pytest.fixture(scope="module")
def siglip2(tmp_path_factory):
    return str(tiny.siglip2(tmp_path_factory.mktemp("backbones") / "siglip2"))


def fusion(source, **more):
    given = {"image_tower": source, "text_tower": None, "width": 36, "layers": 2, "heads": 3}
    return made(**given | more)


def pooled(model, *items):
    """What the image tower says of the images of items."""
    shown = sources().pictures([item.image for item in items], None)
    with torch.no_grad():
        return model.image_tower(model.image_tower.prepare(shown))["pooled"].numpy()


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


VARIANTS = [{}, {"tokens": True}, {"residual": False}, {"empty_text": "encoded"}, {"tokens": True, "residual": False}]


@pytest.mark.parametrize("more", VARIANTS)
def test_embeddings_have_unit_length(clip, more):
    model = fusion(clip, **more)
    items = [Item(0, TEXTS[0]), Item(1), Item(None, TEXTS[1]), Item(2, toward=3), Item(4, view="image_tower")]
    found = vectors(model, *items, Item(5, TEXTS[2], view="text_tower"))
    assert found.shape == (6, 36)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert vectors(model).shape == (0, 36)


@pytest.mark.parametrize("more", VARIANTS)
def test_a_row_is_encoded_for_itself(clip, more):
    model = fusion(clip, **more)
    items = [Item(number, TEXTS[number % 4]) for number in range(12)] + [Item(None, text) for text in TEXTS[:3]]
    items += [Item(1, "red", toward=2, share=0.3), Item(3, toward=9)]
    whole = vectors(model, *items)
    for number, item in enumerate(items):
        assert np.allclose(vectors(model, item)[0], whole[number], atol=1e-5), item
    assert np.allclose(vectors(model, *items, batch=5), whole, atol=1e-5)


def test_a_row_of_pictures_of_any_shape_is_encoded_for_itself(siglip2):
    model = fusion(siglip2, tokens=True)
    items = [Item(number, text) for number, text in enumerate(TEXTS)]
    whole = vectors(model, *items)
    for number, item in enumerate(items):
        assert np.allclose(vectors(model, item)[0], whole[number], atol=1e-5)


@pytest.mark.parametrize("more", VARIANTS)
def test_the_text_moves_the_image(clip, more):
    one, other, bare = vectors(fusion(clip, **more), *(Item(0, text) for text in (TEXTS[0], TEXTS[1], "")))
    assert one @ other < 0.9995
    assert not np.allclose(bare, one, atol=1e-3)


def test_a_larger_text_weight_moves_the_image_further(clip):
    with_text, without = Item(0, TEXTS[0]), Item(0)

    def near(weight):
        one, bare = vectors(fusion(clip, text_weight=weight), with_text, without)
        return one @ bare

    assert near(0.05) > near(0.3) > near(1.0)
    # What was not set is what models of earlier versions were trained with; a text alone leads whatever it weighs.
    default, small = fusion(clip), fusion(clip, text_weight=0.05)
    assert np.allclose(vectors(default, with_text), vectors(fusion(clip, text_weight=0.3), with_text), atol=1e-6)
    alone = Item(None, TEXTS[0])
    assert np.allclose(vectors(default, alone), vectors(small, alone), atol=1e-6)


@pytest.mark.parametrize("empty", ["masked", "encoded"])
def test_an_untrained_model_finds_what_the_image_tower_finds(clip, empty):
    model = fusion(clip, empty_text=empty, layers=1)
    items = [Item(number) for number in range(len(NAMES))]
    seen, shown = vectors(model, *items), unit(pooled(model, *items))
    rest = 9 * np.eye(len(NAMES))
    by_model, by_tower = (rows @ rows.T - rest for rows in (seen, shown))
    assert (by_tower.argmax(1) == by_model.argmax(1)).mean() > 0.7
    # As published it does not: nothing goes around the layers.
    bare = vectors(fusion(clip, residual=False, empty_text=empty, layers=4), *items)
    assert ((bare @ bare.T - rest).argmax(1) == by_tower.argmax(1)).mean() < 1


def test_the_empty_text_masked_or_encoded(clip):
    masked, encoded = fusion(clip, residual=False), fusion(clip, residual=False, empty_text="encoded")
    assert encoded.state_dict().keys() == masked.state_dict().keys()
    items = [Item(0), Item(1)]
    # Encoded, it is a text as any other; the text tower gives it the tokens of beginning and end.
    with torch.no_grad():
        prepared = encoded.prepare(items, sources())
        assert prepared["text"].tolist() == [0, 0]
        features = encoded.image_tower(prepared["images"]["prepared"])
        said = {name: one.expand(2, -1) for name, one in encoded.text_tower(encoded.text_tower.prepare([""])).items()}
        by_hand = encoded.fuse(features, torch.tensor([True, True]), said, torch.tensor([True, True]))
    assert np.allclose(vectors(encoded, *items), by_hand.numpy(), atol=1e-6)
    assert not np.allclose(vectors(masked, *items), by_hand.numpy(), atol=1e-2)
    assert masked.prepare(items, sources())["texts"] is None
    # A text alone is the same to both.
    assert np.allclose(vectors(masked, Item(None, "red")), vectors(encoded, Item(None, "red")), atol=1e-6)


@pytest.mark.parametrize("more", [{}, {"tokens": True}, {"empty_text": "encoded"}])
def test_stored_features_give_the_same_embeddings(clip, tmp_path, more):
    model = fusion(clip, **more)
    items = [Item(0, TEXTS[0]), Item(1), Item(None, TEXTS[1]), Item(2, TEXTS[2], toward=3)]
    stored = frozen_sources(model, sources().images, TEXTS[:3], tmp_path, "key", lambda _: None)
    assert np.allclose(embed(model, items, stored), vectors(model, *items), atol=1e-3 if "tokens" in more else 1e-5)
    if "empty_text" in more:
        # The empty text has stored features as the others have.
        assert "prepared" not in model.prepare(items, stored)["texts"]


def test_a_sum_of_clip_s_own_vectors(clip):
    model = made(kind="sum", image_tower=clip, text_tower=None, width=None)
    assert not model.trained_parameters()
    assert model.width == 32
    items = [Item(3, TEXTS[0]), Item(9, TEXTS[1])]
    with torch.no_grad():
        said = model.text_tower(model.text_tower.prepare(TEXTS[:2]))["pooled"].numpy()
    expected = unit(unit(pooled(model, *items)) + unit(said))
    assert np.allclose(vectors(model, *items), expected, atol=1e-5)
    assert np.allclose(vectors(model, Item(3), Item(9)), unit(pooled(model, *items)), atol=1e-5)
    assert np.allclose(vectors(model, Item(None, TEXTS[0])), unit(said)[:1], atol=1e-5)


def test_towers_that_cannot_be_added(clip):
    with pytest.raises(ConfigurationError, match=r"32 and 384 numbers, which cannot be added: set model.width"):
        made(kind="sum", image_tower=clip, text_tower="all-MiniLM-L6-v2", width=None)
    assert made(kind="sum", image_tower=clip, text_tower="all-MiniLM-L6-v2", width=20).width == 20


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_an_image_on_the_way_to_another(clip, share):
    model = made(kind="sum", image_tower=clip, text_tower=None, width=None)
    one, other = (pooled(model, Item(number))[0].astype(np.float64) for number in (2, 17))
    (found,) = vectors(model, Item(2, toward=17, share=share))
    angle = np.arccos(unit(one) @ unit(other))
    by_hand = (np.sin((1 - share) * angle) * unit(one) + np.sin(share * angle) * unit(other)) / np.sin(angle)
    assert np.allclose(found, by_hand, atol=1e-5)
    assert np.allclose(found, composed(unit(one), unit(other), share), atol=1e-5)


def test_slerp_of_lengths_and_of_nearly_parallel_vectors():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 5, 8))
    share = rng.random(5)
    found = slerp(*(torch.from_numpy(each) for each in (one, other, share))).numpy()
    lengths = (1 - share) * np.linalg.norm(one, axis=1) + share * np.linalg.norm(other, axis=1)
    assert np.allclose(np.linalg.norm(found, axis=1), lengths)
    for row in range(5):
        assert np.allclose(unit(found[row]), composed(one[row], other[row], share[row]))
    near = one + 1e-4 * other
    halves = torch.full((5,), 0.5, dtype=torch.float64)
    middle = slerp(torch.from_numpy(one), torch.from_numpy(near), halves).numpy()
    assert np.allclose(unit(middle), composed(one, near, 0.5))
    # The same image twice is that image, and its gradient is a number.
    same = torch.from_numpy(one).requires_grad_()
    slerp(same, same.detach().clone(), halves).sum().backward()
    assert same.grad.isfinite().all()


@pytest.mark.parametrize("tokens", [False, True])
def test_only_items_with_a_second_image_are_mixed(clip, tokens):
    model = fusion(clip, tokens=tokens)
    alone, mixed, other = vectors(model, Item(2, "red"), Item(2, "red", toward=8), Item(8, "red"))
    assert np.allclose(vectors(model, Item(2, "red"), Item(5, toward=6))[0], alone, atol=1e-5)
    assert mixed @ alone > other @ alone
    assert np.allclose(vectors(model, Item(2, "red", toward=8, share=0.0))[0], alone, atol=1e-4)
    assert np.allclose(vectors(model, Item(2, "red", toward=8, share=1.0))[0], other, atol=1e-4)


@pytest.mark.parametrize("kind", ["fusion", "sum"])
def test_views_are_what_one_tower_says_in_the_model_s_space(clip, kind):
    more = {"kind": "sum", "width": 36} if kind == "sum" else {"width": 36, "layers": 1, "heads": 3, "tokens": True}
    model = made(image_tower=clip, text_tower=None, **more)
    shown, said, whole = (Item(4, TEXTS[0], view=view) for view in ("image_tower", "text_tower", "fused"))
    found = vectors(model, shown, said, whole, Item(4))
    with torch.no_grad():
        mapped = model.image_map(torch.from_numpy(unit(pooled(model, shown)))).numpy()
        heard = model.text_tower(model.text_tower.prepare(TEXTS[:1]))["pooled"]
        text = model.text_map(torch.nn.functional.normalize(heard, dim=-1)).numpy()
    assert np.allclose(found[0], unit(mapped)[0], atol=1e-5)
    assert np.allclose(found[1], unit(text)[0], atol=1e-5)
    assert np.allclose(found[2], vectors(model, whole)[0], atol=1e-5)
    if kind == "sum":
        assert np.allclose(found[3], found[0], atol=1e-5)
        assert np.allclose(found[2], unit(found[0] + found[1]), atol=1e-5)
