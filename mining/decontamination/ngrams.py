"""Word n-grams of texts as 64-bit numbers, by which a text of a benchmark is known again inside another."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import numpy as np
import numpy.typing as npt

UInt64Array = npt.NDArray[np.uint64]

#: Words of an n-gram where nothing else is said.
WORDS = 8
#: A word; a sign of a script without blanks between words is one by itself.
_WORD = re.compile(r"[぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿]|[^\W_぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿]+")


def words_of(text: str) -> list[str]:
    """The words of a text, without regard for case, width, accents' encoding and punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def ngram_hashes(text: str, words: int = WORDS) -> UInt64Array:
    """The distinct n-grams of `words` words of a text, sorted: uint64 (k); a shorter text has none."""
    found = words_of(text)
    grams = {" ".join(found[start : start + words]) for start in range(len(found) - words + 1)}
    numbers = [int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=8).digest(), "big") for gram in grams]
    return np.array(sorted(numbers), np.uint64)
