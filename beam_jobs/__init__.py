"""Beam jobs, one module a stage, and the frame on which they stand."""

import logging


def _is_news(record: logging.LogRecord) -> bool:
    return "apitools not found" not in record.getMessage()


# Beam says at import, in every process, that clients of a service are missing that nothing here asks.
logging.getLogger().addFilter(_is_news)
