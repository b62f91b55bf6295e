"""Pictures of files as people see them: RGB over white, upright."""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image

from schemas.image_files import BROKEN

_WHITE = (255, 255, 255)
#: What EXIF's orientations ask for.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image) -> Image.Image:
    """An opened image in RGB over white, turned as EXIF says."""
    shown = over_white(image)
    turn = _TURNS.get(orientation(image))
    return shown if turn is None else shown.transpose(turn)


def orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1…8. Many files hold broken EXIF, which says nothing of their pixels."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except BROKEN:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def over_white(image: Image.Image) -> Image.Image:
    """A picture of any mode in RGB, what is clear in white."""
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey to white; its high byte is the picture.
        values = np.asarray(image)
        shift = 8 if values.max(initial=0) > 255 else 0
        return Image.fromarray((values >> shift).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0.0, neginf=0.0).astype(np.float64)
        span = float(values.max() - values.min()) or 1.0
        return Image.fromarray(((values - values.min()) / span * 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        layered = image.convert("RGBA")
        page = Image.new("RGB", layered.size, _WHITE)
        page.paste(layered, mask=layered.getchannel("A"))
        return page
    return image.convert("RGB")
