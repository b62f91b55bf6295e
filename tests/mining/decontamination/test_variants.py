import numpy as np
from PIL import Image

from mining.decontamination.variants import NAMES, UNCUT, variants


def test_variants_are_the_picture_its_mirror_image_and_cuts_either_way():
    pixels = np.arange(200 * 100, dtype=np.uint32).reshape(100, 200) % 251
    shades = Image.fromarray(pixels.astype(np.uint8))
    found = variants(shades)
    assert len(found) == len(NAMES) == len(set(NAMES))
    assert np.array_equal(np.asarray(found[0]), pixels)
    assert np.array_equal(np.asarray(found[1]), pixels[:, ::-1])
    assert {one.size for one in found[:UNCUT]} == {(200, 100)}
    corner = found[NAMES.index("cut 0.9 at 1 0")]
    assert np.array_equal(np.asarray(corner), pixels[:90, 20:])
    assert np.array_equal(np.asarray(found[NAMES.index("mirrored cut 0.9 at 1 0")]), pixels[:90, :19:-1])


def test_pictures_of_a_pixel_have_variants_too():
    assert {one.size for one in variants(Image.new("L", (1, 1)))} == {(1, 1)}
