"""The text that describes an image at its place: cleaned of file names, boilerplate and numbering.

The rules look at shapes (digits, punctuation, file endings) and at a short list of words that pages of many languages
put where a description should stand; they ask for no language.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

#: Longest text of a place, in characters; cut at a blank.
MAX_TEXT = 160
#: What is looked at of a longer one: nothing behind it can matter.
_MAX_INPUT = 4 * MAX_TEXT
_EDGES = " -–—|:;,_/\\*#>•·~=+"
_BLANK = re.compile(r"\s+")
_MARKUP = re.compile(r"<[^<>]{1,80}>")
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_FILE_NAME = re.compile(
    r"[^\s.]\S*\.(?:jpe?g|png|gif|webp|bmp|tiff?|svg|avif|pdf|php|html?)\b(?:\?\S*)?", re.IGNORECASE
)
_INVISIBLE = re.compile("[\u00b6\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad\uf0c1\x00-\x08\x0e-\x1f\x7f]")
_KINDS = (
    "fig(?:ure|s)?|abb(?:ildung)?|image|img|photo|picture|pic|plate|slide|table|screenshot|bild|foto|imagen?|imagem|"
    "figura|immagine|рис(?:унок)?|рисунок|фото|图|圖|図|图片|그림"
)
#: "Figure 3: …", "Abb. 2 …", "图 4-1 …"; without such a word a number needs a sign of its own: "3. …", "(b) …".
_NUMBERING = re.compile(
    rf"^(?:(?:{_KINDS})\.?\s*(?:no\.?\s*|nr\.?\s*|#\s*)?\d{{1,4}}(?:[.\-]\d{{1,3}})*[a-z]?\b"
    r"(?:\s*(?:of|/|von|de)\s*\d{1,4}\b)?\s*(?:[:.)\u2013\u2014\uff1a-]\s*)?"
    r"|\(?\d{1,3}(?:\.\d{1,3})*[.):](?=\s)|[\[(](?:\d{1,3}|[a-z])[\])](?=\s)|\d{1,3}\s+[\u2013\u2014-]\s)\s*",
    re.IGNORECASE,
)
#: "photo of …" and its like; what follows is the description.
_OPENING = re.compile(
    r"^(?:(?:an?|the|ein|une?|una?)\s+)?(?:image|picture|photo(?:graph)?|screen\s?shot|illustration|thumbnail|icon|"
    r"bild|foto|imagen|immagine|imagem)\s+(?:of|for|showing|von|vom|der|des|de|du|di|del|della|do|da)\s+(?:the\s+|an?\s+)?",
    re.IGNORECASE,
)
#: Names that cameras, chats and editors give: "DSC_0123", "IMG 20200101", "Screenshot 2020-01-01 at 10.22.33".
_MACHINE_NAME = re.compile(
    r"^(?:dsc[nf]?|p|pict|img|image|photo|pic|screen\s?shot|bildschirmfoto|scan|capture|untitled|unnamed|wp|vid|gopr|mvc)"
    r"[\s_\-]*(?:from\s+)?[\d\s_.:\-()]*(?:at|um|wa)?[\d\s_.:\-()]*(?:am|pm)?\d*$",
    re.IGNORECASE,
)
_HASH = re.compile(r"\b(?=[0-9a-f\-]*\d)(?=[0-9a-f\-]*[a-f])[0-9a-f\-]{12,}\b", re.IGNORECASE)
#: Signs that stand for a footnote, a link or a list's bullet: "[*]", "(+)".
_MARK = re.compile(r"[\[(]\s*[*+•·?×»«^]\s*[\])]")
_SLUG = re.compile(r"^\w+(?:[_\-]\w+){2,}$|^\w+_\w+$")
#: Words that say nothing of the one image they stand with; a text of these alone is none.
_EMPTY_WORDS = frozenset(
    (
        "a an the of to for in and image images img picture pictures photo photos photograph pic graphic logo icon "
        "icons banner thumbnail thumb screenshot figure fig avatar gravatar spacer blank placeholder loading untitled "
        "unnamed null none undefined nan alt alternate text click enlarge here full size larger bigger zoom download "
        "advertisement ad ads email rss facebook twitter "
        "bild bilder foto fotos abbildung grafik symbol vorschau imagen imágenes icono immagine immagini icona imagem "
        "obraz obrazek zdjęcie изображение картинка фото рисунок иконка логотип "
        "图 图片 圖片 图像 图标 画像 写真 アイコン ロゴ 이미지 사진 아이콘"
    ).split()
)
#: Words of buttons, which mean nothing alone and something in company ("left view").
_ALONE = frozenset(
    "header footer background home menu search button arrow next previous prev up down left right back top close open "
    "more show hide share print view info note warning tip".split()
)


def place_text(row: Mapping[str, Any]) -> str | None:
    """The first of alternative text, caption and title that says something, cleaned; None where none does."""
    for column in ("alt", "caption", "title"):
        text = clean_text(row.get(column))
        if text is not None and not _names_its_file(text, row.get("url") or ""):
            return text
    return None


def _names_its_file(text: str, url: str) -> bool:
    """Whether a text is the name of the image's file and tells no more than that: one token with a number."""
    stem = url.partition("?")[0].rpartition("/")[2].rpartition(".")[0]
    return " " not in text and any(sign.isdigit() for sign in text) and text.lower() == stem.lower()


def page_texts(rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """`place_text` of all places of one page (rows of `page_images`); a picture without a text of its own takes the
    nearest heading, if that is below another one (the first is the page's) and no other such picture shares it.
    """
    texts = [place_text(row) for row in rows]
    texted = {row["group"] for row, text in zip(rows, texts, strict=True) if text is not None}
    headings = {row["group"]: _own_heading(row) for row in rows if row["group"] not in texted}
    shared = Counter(headings.values())
    return [
        heading if (heading := headings.get(row["group"])) is not None and shared[heading] == 1 else text
        for row, text in zip(rows, texts, strict=True)
    ]


def _own_heading(row: Mapping[str, Any]) -> str | None:
    above, _, nearest = (row.get("heading") or "").rpartition(" > ")
    return clean_text(nearest) if above else None


def clean_text(text: str | None) -> str | None:
    """A text without markup, addresses, file names, numbering and openings such as "photo of"; None for what is left
    of boilerplate. Cleaning a cleaned text changes nothing."""
    while text:
        cleaned = _cleaned(text[:_MAX_INPUT])
        if cleaned == text:
            return text
        text = cleaned
    return None


def _cleaned(text: str) -> str | None:
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    for noise in (_MARKUP, _ADDRESS, _FILE_NAME, _HASH, _MARK):
        text = noise.sub(" ", text)
    text = _BLANK.sub(" ", text).strip(_EDGES)
    if _MACHINE_NAME.match(text):
        return None
    text = _OPENING.sub("", _NUMBERING.sub("", text)).strip(_EDGES)
    if _SLUG.match(text):
        text = re.sub(r"[_\-]+", " ", text).strip()
    if not _tells(text):
        return None
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT + 1].rpartition(" ")[0] or text[:MAX_TEXT]
    return text.strip(_EDGES)


def _tells(text: str) -> bool:
    """Whether more than boilerplate and numbers is left: two letters, or one sign of a script without case."""
    words = [word.strip(".,:;!?()[]{}\"'«»„“”‘’").lower() for word in text.split()]
    if len(words) == 1 and words[0] in _ALONE:
        return False
    letters = [sign for word in words if word not in _EMPTY_WORDS for sign in word if sign.isalpha()]
    return len(letters) >= 2 or any(unicodedata.category(sign) == "Lo" for sign in letters)
