from __future__ import annotations

import io
import os
import random
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from made_images import animation, encoded, picture, png, png_bomb
from PIL import Image, ImageChops

from mining.decoding import UndecodableError, decode, square, stretched

LIMIT = 1_000_000


def reason(data: bytes, limit: int = LIMIT) -> str:
    with pytest.raises(UndecodableError) as caught:
        decode(data, limit)
    return caught.value.reason


def off(first: Image.Image, second: Image.Image) -> float:
    """Mean absolute difference of two pictures, in grey levels."""
    return float(np.asarray(ImageChops.difference(first, second), np.float64).mean())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "JPEG2000", "PPM"])
def test_formats_of_the_web_give_the_same_picture(kind: str) -> None:
    result = decode(encoded(picture(), kind), LIMIT)
    assert (result.width, result.height, result.format, result.animated) == (80, 60, kind, False)
    assert result.picture.mode == "RGB"
    assert off(result.picture, picture()) < 8


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    result = decode(animation(kind), LIMIT)
    assert result.animated
    assert off(result.picture, picture(seed=0)) < 8 < off(result.picture, picture(seed=1))


def test_multi_picture_jpegs_are_still_pictures() -> None:
    result = decode(animation("MPO"), LIMIT)
    assert (result.format, result.animated) == ("JPEG", False)
    assert off(result.picture, picture(seed=0)) < 8


def test_icons_give_their_largest_picture() -> None:
    result = decode(encoded(picture(64, 64), "ICO", sizes=[(16, 16), (64, 64)]), LIMIT)
    assert (result.width, result.height, result.format) == (64, 64, "ICO")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_applies_it(orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture(), "JPEG", exif=exif, quality=95)
    result = decode(data, LIMIT)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert (result.width, result.height) == expected.size == result.picture.size
    assert result.picture.tobytes() == expected.tobytes()


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"\0" * 40])
def test_broken_exif_does_not_cost_the_picture(exif: bytes) -> None:
    assert decode(encoded(picture(), "JPEG", exif=exif), LIMIT).width == 80


def test_transparency_is_laid_over_white() -> None:
    clear = Image.new("RGBA", (20, 10), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 128), (10, 0, 20, 10))
    shown = decode(encoded(clear, "PNG"), LIMIT).picture
    assert shown.getpixel((2, 2)) == (255, 255, 255)
    assert shown.getpixel((15, 5)) == pytest.approx((127, 127, 255), abs=1)
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0, 0, 255, 0])
    assert decode(encoded(palette, "PNG", transparency=0), LIMIT).picture.getpixel((1, 1)) == (255, 255, 255)
    grey = Image.new("LA", (4, 4), (0, 0))
    assert decode(encoded(grey, "PNG"), LIMIT).picture.getpixel((1, 1)) == (255, 255, 255)


def test_cmyk_and_sixteen_bits_keep_their_tones() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert decode(encoded(red, "JPEG", quality=95), LIMIT).picture.getpixel((8, 8)) == pytest.approx((254, 0, 0), abs=6)
    ramp = np.linspace(0, 65535, 64 * 8).reshape(8, 64).astype(np.uint16)
    shown = np.asarray(decode(encoded(Image.fromarray(ramp), "PNG"), LIMIT).picture)[:, :, 0]
    assert np.array_equal(shown, ramp >> 8)
    floats = Image.fromarray(np.array([[0.0, 1.0], [np.nan, 0.5]], np.float32))
    assert np.asarray(decode(encoded(floats, "TIFF"), LIMIT).picture)[0, 1, 0] == 255


@pytest.mark.parametrize("profile", [b"junk", b"", b"\xff" * 4000])
def test_odd_colour_profiles_are_ignored(profile: bytes) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        assert off(decode(encoded(picture(), kind, icc_profile=profile), LIMIT).picture, picture()) < 8
    assert decode(png(2, 2, b"x\x9cc`\x80\x03\0\0\x06\0\x01", (b"iCCP", b"name\0\0not deflate")), LIMIT).width == 2


def test_large_jpegs_are_decoded_at_a_reduced_scale_and_told_in_full() -> None:
    result = decode(encoded(picture(2400, 1600), "JPEG"), 10_000_000)
    assert (result.width, result.height) == (2400, 1600)
    assert result.picture.size == (1200, 800)
    assert off(result.picture, picture(2400, 1600).resize((1200, 800))) < 3


def test_files_that_are_cut_off() -> None:
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM"):
        data = encoded(picture(), kind)
        assert reason(data[: len(data) // 2]) == "truncated", kind
    for kind in ("WEBP", "AVIF", "JPEG2000"):
        data = encoded(picture(), kind)
        assert reason(data[: len(data) // 2]) in ("truncated", "undecodable", "not_an_image"), kind


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG",
        b"<html><img src=x></html>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        bytes(5000),
    ],
)
def test_what_is_no_image_of_the_web(data: bytes) -> None:
    assert reason(data) == "not_an_image"


def test_drawings_in_svg_have_a_reason_of_their_own() -> None:
    assert reason(b"<?xml version='1.0'?><!-- made -->\n<svg xmlns='http://www.w3.org/2000/svg'/>") == "vector_image"
    assert reason(b"<html>" + bytes(10_000) + b"<svg/>") == "not_an_image"


def test_a_bomb_is_refused_before_its_pixels_are_made() -> None:
    bomb = png_bomb(20_000)
    assert len(bomb) < 500_000
    tracemalloc.start()
    started = time.perf_counter()
    assert reason(bomb, 80_000_000) == "too_many_pixels"
    assert reason(png(2**31 - 1, 2**31 - 1, b""), 80_000_000) == "too_many_pixels"
    seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seconds < 1
    assert peak < 5_000_000


def test_a_bomb_inside_an_icon_is_refused() -> None:
    body = png_bomb(6000)
    icon = struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(body), 22) + body
    assert reason(icon, 10_000_000) == "too_many_pixels"


def test_text_chunks_that_swell_are_not_unpacked() -> None:
    swelling = zlib.compress(bytes(100_000_000), 9)
    data = png(2, 2, b"x\x9cc`\x80\x03\0\0\x06\0\x01", (b"zTXt", b"k\0\0" + swelling))
    tracemalloc.start()
    try:
        assert reason(data) == "undecodable"
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_the_limit_is_exact() -> None:
    data = encoded(picture(100, 50), "PNG")
    assert decode(data, 5000).width == 100
    assert reason(data, 4999) == "too_many_pixels"


def test_mutated_files_raise_nothing_else() -> None:
    files = [encoded(picture(40, 30), kind) for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "ICO", "TIFF", "AVIF")]
    files += [animation("GIF"), animation("PNG"), encoded(picture().quantize(8), "PNG")]
    chance = random.Random(7)
    good = bad = 0
    for _ in range(3000):
        data = bytearray(chance.choice(files))
        for _ in range(chance.choice([1, 4, 20])):
            data[chance.randrange(min(len(data), chance.choice([64, 600, 10**6])))] = chance.randrange(256)
        try:
            decode(bytes(data), LIMIT)
            good += 1
        except UndecodableError:
            bad += 1
    assert good > 300
    assert bad > 300


def test_one_pixel_and_long_banners_fit_the_models() -> None:
    one = decode(encoded(Image.new("RGB", (1, 1), (9, 8, 7)), "PNG"), LIMIT).picture
    assert square(one, 256, 224).shape == (224, 224, 3)
    assert (square(one, 256, 224) == (9, 8, 7)).all()
    banner = decode(encoded(picture(8000, 3), "PNG"), LIMIT).picture
    assert square(banner, 256, 224).shape == (224, 224, 3)
    assert stretched(banner, 256).shape == (256, 256, 3)


def test_the_crop_is_the_middle_of_the_resized_picture() -> None:
    image = picture(640, 480)
    whole = image.resize((341, 256), Image.Resampling.BICUBIC)
    expected = np.asarray(whole.crop((58, 16, 282, 240)), np.int16)
    assert np.abs(square(image, 256, 224).astype(np.int16) - expected).max() <= 3


@pytest.mark.skipif("LENSMITH_CORPORA" not in os.environ, reason="LENSMITH_CORPORA names no folder of crawls")
def test_images_of_real_crawls_decode() -> None:
    from pathlib import Path

    from fastwarc.warc import ArchiveIterator, WarcRecordType

    reasons: dict[str, int] = {}
    archives = sorted(Path(os.environ["LENSMITH_CORPORA"]).glob("**/wand/full/*.warc.gz"))
    assert archives
    for archive in archives:
        with archive.open("rb") as file:
            for record in ArchiveIterator(file, WarcRecordType.response):
                kind = (record.http_headers.get("Content-Type") or "") if record.http_headers else ""
                if record.http_headers.status_code == 200 and kind.startswith("image/") and "svg" not in kind:
                    try:
                        decode(record.reader.read(), 80_000_000)
                        reasons["decoded"] = reasons.get("decoded", 0) + 1
                    except UndecodableError as error:
                        reasons[error.reason] = reasons.get(error.reason, 0) + 1
    assert reasons["decoded"] > 50
    assert set(reasons) == {"decoded"}
