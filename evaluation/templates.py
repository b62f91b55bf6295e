"""Texts of queries: the published templates by name, for each benchmark, and templates of one's own.

A template of several texts stands for the mean of their features, each of unit length, made unit length again (SEARLE
and LinCIR encode a FashionIQ query in both orders of its captions). `$` and `*` are the places of a pseudo-word; a
model without pseudo-words reads them as they stand.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import ConfigurationError

#: What SEARLE, CLIP4Cir and CIReVL strip from both ends of a FashionIQ caption.
_STRIPPED = ".?, "


@dataclass(frozen=True)
class Template:
    """Format strings over the fields of a query. `strip` says what is stripped from both ends of every field,
    `capitalised` names the field whose first letter becomes a capital and the rest small."""

    texts: tuple[str, ...]
    strip: str = ""
    capitalised: str = ""

    def render(self, fields: Mapping[str, str]) -> list[str]:
        """The texts of one query. Raises ConfigurationError for a field that the benchmark does not have."""
        cleaned = {name: text.strip(self.strip) if self.strip else text for name, text in fields.items()}
        if self.capitalised:
            cleaned[self.capitalised] = cleaned[self.capitalised].capitalize()
        try:
            return [text.format_map(cleaned) for text in self.texts]
        except KeyError as error:
            raise ConfigurationError(
                f"a template names {error}, which the benchmark does not have: there are {', '.join(fields)}."
            ) from error


_CAPTION = Template(("{caption}",))
_PSEUDO_WORD = Template(("a photo of $ that {caption}",))

#: For each benchmark whose queries have a text: templates by name, the default first.
TEMPLATES: Mapping[str, Mapping[str, Template]] = {
    "fashioniq": {
        "plain": Template(("{caption1} and {caption2}",)),
        "searle": Template(
            ("a photo of $ that {caption1} and {caption2}", "a photo of $ that {caption2} and {caption1}"), _STRIPPED
        ),
        "clip4cir": Template(("{caption1} and {caption2}",), _STRIPPED, "caption1"),
        "cirevl": Template(("{caption1} and {caption2}",), _STRIPPED),
        "magiclens": Template(("{caption1} and {caption2}",)),
        "bge-vl": Template(("{caption1}, and {caption2}",)),
    },
    "cirr": {"plain": _CAPTION, "searle": _PSEUDO_WORD},
    "circo": {
        "plain": _CAPTION,
        "searle": _PSEUDO_WORD,
        "magiclens": Template(("find {shared_concept} but {caption}",)),
    },
    "genecis": {"plain": _CAPTION},
    "dtin": {
        "pic2word": Template(("a {domain} of *",)),
        "magiclens": Template(("find this object in {domain}",)),
    },
    "inquire": {"plain": _CAPTION},
    "inquire-rerank": {"plain": _CAPTION},
    "lensmith": {"plain": _CAPTION},
    "lensmith-chains": {"plain": _CAPTION, "last": Template(("{last}",))},
    "mtcir": {"plain": _CAPTION},
}


def template(benchmark: str, asked: str | None) -> Template | None:
    """A template by its name or by its text (anything with a `{field}`); the benchmark's default if none is asked,
    None for a benchmark of images alone. Raises ConfigurationError for names that it does not know."""
    known = TEMPLATES.get(benchmark, {})
    if asked is None:
        return next(iter(known.values()), None)
    if not known:
        raise ConfigurationError(f"the queries of {benchmark} have no text: leave --template out.")
    if asked in known:
        return known[asked]
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(asked) if name]
    except ValueError as error:
        raise ConfigurationError(f"the template {asked!r} cannot be read: {error}.") from error
    if not fields:
        raise ConfigurationError(
            f"there is no template {asked!r} for {benchmark}: there are {', '.join(known)}, or a text with "
            "{caption} or another field in braces."
        )
    return Template((asked,))
