"""Options of `lensmith evaluate` on how queries are made, how they are ranked, and what is told of the result."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from evaluation.codes import Method
from evaluation.composed_queries import COMPOSERS, Weights, compose, composition_words, weights_of
from evaluation.embeddings import Embeddings
from evaluation.ranking import Gallery, Similarity
from evaluation.score import BuildGallery
from evaluation.turns import compose_turns
from schemas.errors import ConfigurationError

Html = Annotated[
    Path | None,
    typer.Option(
        "--html", help="An .html page: intervals, published rows, best and worst queries.", show_default="none"
    ),
]
Metric = Annotated[
    str | None,
    typer.Option("--metric", help="Main metric of the page and of --codes.", show_default="the benchmark's"),
]
Composer = Annotated[
    str | None,
    typer.Option(
        "--composer",
        help=f"Make the queries from the file's halves: {', '.join(COMPOSERS)}.",
        show_default="query_embeddings as they are",
    ),
]
Alpha = Annotated[
    float | None, typer.Option("--alpha", help="The composer's weight of the text.", show_default="the paper's")
]
AlphaImage = Annotated[
    float | None, typer.Option("--alpha-image", help="PDV's step on the image side.", show_default="the paper's")
]
Beta = Annotated[
    float | None,
    typer.Option(
        "--beta", help="PDV's weight of the text side, WeiMoCIR's of the captions.", show_default="the paper's"
    ),
]
TurnByTurn = Annotated[
    bool,
    typer.Option(
        "--turn-by-turn",
        help="lensmith-chains with a --composer: each turn's text is composed with the query of the turn before.",
    ),
]
Rerank = Annotated[
    str | None, typer.Option("--rerank", help="superglobal: rank the best anew by their neighbours.", show_default="no")
]
RerankTop = Annotated[int, typer.Option("--rerank-top", min=1, help="How many are ranked anew.")]
Codes = Annotated[
    str | None,
    typer.Option("--codes", help="Bits of binary codes, as 64,128,256: their loss in --metric.", show_default="none"),
]
CodeMethod = Annotated[str, typer.Option("--code-method", help="itq (learned rotation) or sign.")]

#: Benchmarks on datasets of ours: --annotations holds their images.
ON_DATASETS = ("lensmith", "lensmith-chains")


@dataclass(frozen=True)
class CodesAsked:
    """Numbers of bits, and how the codes are made."""

    bits: tuple[int, ...]
    method: Method


def codes_asked(codes: str | None, method: str) -> CodesAsked:
    """What --codes and --code-method say. Raises ConfigurationError for other than whole numbers and known methods."""
    methods: dict[str, Method] = {"itq": "itq", "sign": "sign"}
    if method not in methods:
        raise ConfigurationError(f"--code-method {method!r} is none: there are itq and sign.")
    try:
        bits = tuple(int(one) for one in codes.split(",")) if codes else ()
    except ValueError as error:
        raise ConfigurationError(f"--codes {codes!r} must list numbers of bits, as 64,128,256.") from error
    return CodesAsked(bits, methods[method])


def composed(
    embeddings: Embeddings,
    composer: str | None,
    asked: Weights,
    benchmark: str,
    similarity: Similarity | None,
    by_turn: bool = False,
) -> tuple[Embeddings, Similarity | None, str | None]:
    """The embeddings with composed queries, the similarity to rank by, and the composer in words."""
    if composer is None:
        if asked != Weights():
            raise ConfigurationError("--alpha, --alpha-image and --beta belong to a --composer.")
        return embeddings, similarity, None
    weights = weights_of(composer, benchmark, asked)
    made, similarity = (compose_turns if by_turn else compose)(embeddings, composer, weights, similarity)
    return made, similarity, composition_words(composer, weights) + (", turn by turn" if by_turn else "")


def folded_template(benchmark: str, composer: str | None, template: str | None) -> str:
    """The template of --turn-by-turn: each turn's own text, unless another is asked for. Raises ConfigurationError
    where there are no turns to compose."""
    if benchmark != "lensmith-chains" or composer is None:
        raise ConfigurationError("--turn-by-turn belongs to the benchmark lensmith-chains with a --composer.")
    return template or "last"


def gallery_builder(rerank: str | None, top: int) -> BuildGallery:
    """What ranks: plain search, or a reranker behind it."""
    if rerank is None:
        return Gallery
    if rerank != "superglobal":
        raise ConfigurationError(f"--rerank {rerank!r} is none: there is superglobal.")
    from evaluation.rerankers.gallery import SuperglobalGallery

    return partial(SuperglobalGallery, top=top)
