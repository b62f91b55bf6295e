"""Small pictures for a page: JPEGs of our own, so that no file of a benchmark or of the web is passed on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from evaluation.report.cases import Case
from evaluation.task import ImageFile
from schemas.thumbnails import thumbnail

#: Files of images → those that are there, with their bytes, their regions cut out.
ReadImages = Callable[[Sequence[ImageFile]], Iterable[tuple[ImageFile, bytes]]]


def pictures(cases: Iterable[Case], read: ReadImages, side: int = 220) -> dict[ImageFile, str]:
    """Data addresses of the images that cases show, those apart that are not there or cannot be decoded."""
    wanted: dict[ImageFile, None] = {}
    for case in cases:
        files = (case.image, *(one.image for one in (*case.first, *case.right)))
        wanted |= dict.fromkeys(file for file in files if file is not None)
    shown = {}
    for file, data in read(list(wanted)):
        address = thumbnail(data, side)
        if address is not None:
            shown[file] = address
    return shown
