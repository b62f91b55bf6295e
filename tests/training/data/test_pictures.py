"""Image files of every mode as RGB over white."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from mining.decoding import decode
from schemas.errors import ConfigurationError
from training.data.image_store import GivenImages, picture
from training.data.sources import Sources


def file(image, kind="PNG", **options):
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


def shown(data):
    found = picture(data, "of the test")
    assert found.mode == "RGB"
    return np.asarray(found).astype(int)


def half_clear(mode):
    """Left clear black, right the same in full."""
    image = Image.new("RGBA", (8, 4), (0, 0, 0, 0))
    image.paste((200, 30, 30, 255), (4, 0, 8, 4))
    return image.convert(mode)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_clear_shows_white(kind):
    found = shown(file(half_clear("RGBA"), kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert (found[:, :4] == 255).all()
    assert (found[:, 4:] == (200, 30, 30)).all()


def test_half_clear_is_half_white():
    found = shown(file(Image.new("RGBA", (3, 3), (0, 100, 0, 128))))
    assert np.abs(found - (127, 177, 127)).max() <= 1


def test_clear_entries_of_palettes_and_clear_greys_show_white():
    indexed = Image.new("P", (6, 2), 0)
    indexed.putpalette([9, 9, 9, 30, 160, 40])
    indexed.paste(1, (3, 0, 6, 2))
    for kind in ("PNG", "GIF"):
        found = shown(file(indexed, kind, transparency=0))
        assert (found[:, :3] == 255).all(), kind
        assert (found[:, 3:] == (30, 160, 40)).all(), kind
    grey = shown(file(Image.new("LA", (4, 4), (50, 0))))
    assert (grey == 255).all()
    keyed = Image.new("RGB", (4, 4), (1, 2, 3))
    assert (shown(file(keyed, transparency=(1, 2, 3))) == 255).all()


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGB"])
def test_other_modes_are_shown_as_they_look(mode):
    white = Image.new("RGB", (8, 8), (255, 255, 255)).convert(mode)
    found = shown(file(white, "TIFF" if mode == "CMYK" else "PNG"))
    assert (found == 255).all()


@pytest.mark.parametrize("orientation", range(10))
def test_a_camera_that_was_turned_shows_upright(orientation):
    """As Pillow itself turns it; a number that means nothing turns nothing."""
    source = Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    for kind in ("PNG", "WEBP", "TIFF"):
        data = file(source, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
        assert (shown(data) == np.asarray(upright).astype(int)).all(), kind
        assert shown(data).shape[0] == (9 if orientation in (5, 6, 7, 8) else 6)


def test_broken_exif_turns_nothing():
    data = file(Image.new("RGB", (6, 4), (9, 9, 9)), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff\x00")
    assert shown(data).shape == (4, 6, 3)


def test_grey_of_16_bits_keeps_its_shades():
    found = shown(file(Image.fromarray(np.arange(256, dtype=np.uint16).reshape(16, 16) << 8)))
    assert (found[:, :, 0].reshape(-1) == np.arange(256)).all()


def test_mining_sees_the_same_pixels():
    """Texts are written of what mining saw."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype=np.uint8))
    files = [file(noise, "JPEG", exif=exif), file(noise.convert("P")), file(half_clear("RGBA")), file(noise, "WEBP")]
    files.append(file(Image.fromarray(np.arange(0, 60_000, 100, dtype=np.uint16).reshape(20, 30))))
    for data in files:
        assert (shown(data) == np.asarray(decode(data, 10_000).picture).astype(int)).all()


def test_a_moving_picture_is_its_first_frame():
    frames = [Image.new("RGB", (5, 5), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    found = shown(file(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert (found == (255, 0, 0)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_that_breaks_off_has_a_sentence(kind):
    whole = file(Image.effect_noise((64, 64), 80).convert("RGB"), kind)
    with pytest.raises(ConfigurationError, match=r"the image in row 3 cannot be decoded \(.*\): take it out"):
        picture(whole[: len(whole) // 2], "in row 3")


class Listening(GivenImages):
    """Images that remember what they were asked for."""

    def __init__(self, files, names):
        super().__init__(files, names)
        self.asked = []

    def file(self, number):
        self.asked.append(number)
        return super().file(number)


def test_pictures_are_read_once_in_the_order_of_the_store():
    colours = [(number * 10, 0, 0) for number in range(9)]
    store = Listening([file(Image.new("RGB", (2, 2), one)) for one in colours], [str(one) for one in range(9)])
    found = Sources(store).pictures([7, 2, 7, 0, 5], None)
    assert [one.getpixel((0, 0)) for one in found] == [colours[one] for one in (7, 2, 7, 0, 5)]
    assert store.asked == [0, 2, 5, 7]
    assert Sources(store).pictures([], None) == []
