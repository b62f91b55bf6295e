"""What the name of an image's file says, where the page says nothing."""

from __future__ import annotations

import re
from urllib.parse import unquote

from synthesis.spans.lexicon import SAMPLES

#: Sizes and places in a row: "300px", "2x", "01", "A1", "7b".
_ORDER = re.compile(r"^(?:\d+px|\d+x\d+|\dx|\d+w|\d{1,3}[a-z]?|[a-z]\d{1,2})$")
_ONSET = re.compile(
    r"^(?:[bcdfghjklmnprstvwyz]|[bcfgp][lr]|[cpstgw]h|[dkt]r|[dt]w|[gk]n|qu|s[ckmnptlw]|s[cpt]r|spl|sph|shr|sch|squ|thr|wr"
    r"|chr|phr|rh|ps)?[aeiouy]"
)
_CODA = re.compile(
    r"(?:[aeiouy]|[aeiouy](?:[bcdfghklmnprstvwxyz]|([bdfglnprstz])\1|c[hkst]|f[st]|g[hns]|k[s]|l[bdfkmpst]|m[bnps]|n[cdgkstx]"
    r"|p[hst]|r[bcdfgklmnpst]|s[hkmpt]|t[hsz]|w[lnks]|x[t]|b[s]|d[s]|ght|[lrn]ds|[lrn]ts|[lrn]ks|[lr]ms|[nr]ch|tch|rld|rst|rth"
    r"|ngs|ngth|nth|pth|sts|mps|cks|cts|ffs|sks|sps|lls|sses|rns|rls|phs|ths))$"
)
_HARD = re.compile(r"[bcdfghjklmnpqrstvwxz]{5,}")


def name_words(url: str) -> list[str]:
    """The words of a file's name, in lower case: "arc", "tile" of `…/distort-arc-tile.png`, without what tells its
    place in a row or its size. Empty for one that is not made of words: hashes, codes, abbreviations."""
    tokens = _tokens(url)
    while tokens and _ORDER.match(tokens[0]):
        tokens = tokens[1:]
    tokens = [token for token in tokens if not re.match(r"^\d+(?:px|x\d+|w)$", token)]
    while len(tokens) > 1 and tokens[-1] in SAMPLES | {"screen", "photo", "img", "image"}:
        tokens = tokens[:-1]
    return tokens if tokens and all(token.isdigit() or plausible(token) for token in tokens) else []


def names_file(text: str, url: str) -> bool:
    """Whether a text is no more than the name of the image's file, its hyphens read as blanks: nobody typed it."""
    return re.sub(r"[_-]+", " ", text).strip() == re.sub(r"[_-]+", " ", _stem(url)).strip()


def plausible(word: str) -> bool:
    """Whether a word may be English, as far as its letters tell: "ripples", and not "mtmand" or "sunsethf"."""
    return len(word) > 2 and bool(_ONSET.match(word) and _CODA.search(word)) and not _HARD.search(word)


def _stem(url: str) -> str:
    path = url.partition("#")[0].partition("?")[0]
    return unquote(path.rpartition("/")[2]).rpartition(".")[0][:80]


def _tokens(url: str) -> list[str]:
    stem = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", _stem(url))
    return [token.lower() for token in re.split(r"[\W_]+", stem) if token]
