"""Rerankers: SuperGlobal and its pooling, clauses of compound instructions, chat models that see the candidates."""

from __future__ import annotations

from evaluation.rerankers.chat_messages import RerankQuery
from evaluation.rerankers.chat_reranker import (
    ChatReranker,
    ChatRerankerConfig,
    Reranked,
    apply_order,
    count_outcomes,
)
from evaluation.rerankers.clauses import Clause, split_clauses
from evaluation.rerankers.divide_and_conquer import ClauseRanking, combine_clauses, rerank_by_clauses
from evaluation.rerankers.pooling import descriptor, gem_plus, regional_gem, relup, scale_gem, whitened
from evaluation.rerankers.superglobal import superglobal

__all__ = [
    "ChatReranker",
    "ChatRerankerConfig",
    "Clause",
    "ClauseRanking",
    "RerankQuery",
    "Reranked",
    "apply_order",
    "combine_clauses",
    "count_outcomes",
    "descriptor",
    "gem_plus",
    "regional_gem",
    "relup",
    "rerank_by_clauses",
    "scale_gem",
    "split_clauses",
    "superglobal",
    "whitened",
]
