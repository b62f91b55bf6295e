"""A picture on a page: the addresses that its markup names, and the words around it."""

from __future__ import annotations

from dataclasses import dataclass, field

from mining.pages.picture_markup import Address

AROUND = 300
TEXT_LENGTH = 500
HEADING_LENGTH = 500


@dataclass
class Picture:
    """Alternatives of one picture and its words; `offset` is its place in the page's running text."""

    addresses: list[Address]
    alt: str | None = None
    title: str | None = None
    caption: str | None = None
    heading: str | None = None
    width: int | None = None
    height: int | None = None
    offset: int = 0

    @property
    def chosen(self) -> int:
        """Index of the alternative that mining prefers: the full picture that a thumbnail leads to, else the largest
        of srcset and picture, else what is loaded late, else the plain one."""
        ranks = {"link": 0, "srcset": 1, "picture": 1, "lazy": 2, "img": 3, "noscript": 4}
        if len(self.addresses) == 1:
            return 0
        order = [(ranks.get(one.source, 5), -one.size, index) for index, one in enumerate(self.addresses)]
        return min(order)[2]


@dataclass
class PageWalk:
    """What one walk over a page finds."""

    pictures: list[Picture] = field(default_factory=list)
    #: The page's text with single blanks. Empty where nobody wanted it and no picture stands in it.
    text: str = ""

    def around(self, picture: Picture) -> tuple[str | None, str | None]:
        """Up to 300 characters of the page's text before and after a picture, cut at blanks."""
        if not self.text:
            return None, None
        before = self.text[max(0, picture.offset - AROUND - 1) : picture.offset]
        after = self.text[picture.offset : picture.offset + AROUND + 1]
        if len(before) > AROUND:
            before = before.partition(" ")[2]
        if len(after) > AROUND:
            after = after.rpartition(" ")[0]
        return before.strip() or None, after.strip() or None


def clean(text: str | None, limit: int = TEXT_LENGTH) -> str | None:
    """Text with single blanks, at most `limit` characters; None for nothing."""
    if not text:
        return None
    return " ".join(text[: limit * 4].split())[:limit].strip() or None
