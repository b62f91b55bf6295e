"""Pictures are varied by their generator alone, and `crop` keeps what texts speak of."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_pictures import drawn
from PIL import Image

from training.data.augmentation import augmentation, crop, strong
from training.data.image_store import GivenImages, picture
from training.data.sources import Sources


def generator(*seed):
    return np.random.default_rng(seed)


def noise(width=60, height=40):
    return Image.fromarray(generator(0).integers(0, 255, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("vary", [crop, strong])
def test_a_generator_decides(vary):
    source = noise()
    before = source.tobytes()
    first, again, other = (vary(source, generator(seed)) for seed in (1, 1, 2))
    assert (first.size, first.tobytes()) == (again.size, again.tobytes())
    assert first.tobytes() != other.tobytes()
    assert first.mode == "RGB"
    assert source.tobytes() == before


@pytest.mark.parametrize("vary", [crop, strong])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 2), (7, 5)])
def test_pictures_of_any_shape(vary, size):
    for seed in range(20):
        varied = vary(Image.new("RGB", size, (10, 200, 30)), generator(seed))
        assert 1 <= varied.width <= size[0]
        assert 1 <= varied.height <= size[1]


def test_crop_keeps_most_of_a_picture():
    for seed in range(50):
        varied = crop(noise(200, 100), generator(seed))
        assert 0.75 <= varied.width * varied.height / 20_000 <= 1
        assert 1.5 < varied.width / varied.height < 2.6


def test_crop_keeps_colours():
    """The hue of every colour that texts name stays where it was, and grey stays grey."""
    for name in ("red", "green", "blue", "yellow", "violet"):
        for seed in range(10):
            source = picture(drawn("square", name), name)
            hues = [
                np.asarray(one.convert("HSV"))[one.height // 2, one.width // 2, 0].astype(int)
                for one in (source, crop(source, generator(seed)))
            ]
            assert abs((hues[0] - hues[1] + 128) % 256 - 128) <= 6
    grey = np.asarray(crop(Image.new("RGB", (50, 50), (90, 90, 90)), generator(3))).astype(int)
    assert np.ptp(grey, axis=2).max() == 0


def test_crop_never_flips():
    """Left of a picture dark, right of it light: texts say left and right."""
    source = Image.merge("RGB", [Image.linear_gradient("L").rotate(90)] * 3)
    for seed in range(50):
        row = np.asarray(crop(source, generator(seed)).convert("L")).astype(int).mean(axis=0)
        assert row[0] < row[-1]


def test_strong_flips_half_and_takes_colours_away():
    source = Image.merge("RGB", [Image.linear_gradient("L").rotate(90)] * 3)
    light_left = 0
    for seed in range(200):
        row = np.asarray(strong(source, generator(seed)).convert("L")).astype(int).mean(axis=0)
        light_left += int(row[0] > row[-1])
    assert 70 < light_left < 130
    red = Image.new("RGB", (40, 40), (220, 30, 30))
    grey = sum(np.ptp(np.asarray(strong(red, generator(seed))).astype(int), axis=2).max() == 0 for seed in range(200))
    assert 20 < grey < 70


def test_no_augmentation_is_none():
    assert augmentation("none") is None
    assert augmentation("crop") is crop
    assert augmentation("strong") is strong


def test_a_picture_is_varied_alike_whatever_stands_beside_it():
    """So that a batch is the same in one process and in several, whole and in chunks."""
    store = GivenImages([drawn("ring", "red"), drawn("bar", "blue"), drawn("cross", "green")], ["a", "b", "c"])
    sources = Sources(store, augment=strong)
    together = sources.pictures([0, 1, 2], generator(5))
    alone = [sources.pictures([number], generator(5))[0] for number in range(3)]
    assert [one.tobytes() for one in together] == [one.tobytes() for one in alone]
    assert together[0].tobytes() != sources.pictures([0], generator(6))[0].tobytes()
    plain = sources.pictures([0], None)[0]
    assert plain.tobytes() == picture(drawn("ring", "red"), "a").tobytes()
