"""Asks a number of questions of an endpoint with a store, as a program that can be killed: URL FOLDER."""

import sys

from schemas.outcomes import CollectedOutcomes
from schemas.storage import Folder
from synthesis.asking import Asking, answer
from synthesis.config import WriteConfig
from synthesis.prompt_files import load_prompt
from synthesis.requests import make_requests
from synthesis.store import GenerationStore
from synthesis.tasks.interface import Ask
from synthesis.writers import load_writer

REQUESTS, CONCURRENCY, FLUSH = 90, 3, 4


def ask_all(url, folder):
    """The outcomes of all questions."""
    config = WriteConfig(
        backend="openai",
        model="m",
        base_url=url,
        timeout=2.0,
        attempts=6,
        max_wait=2.0,
        concurrency=CONCURRENCY,
        flush_answers=FLUSH,
        flush_seconds=5.0,
    )
    prompt = load_prompt("span_copy")
    requests = []
    for number in range(REQUESTS):
        messages = [{"role": "user", "content": f"Say the number {number}."}]
        requests += make_requests(Ask(prompt, messages, max_tokens=8), config)
    outcomes = CollectedOutcomes()
    store = GenerationStore(Folder(folder), "parts")
    answer(requests, Asking(store, config, lambda: load_writer(config)), outcomes)
    return outcomes


if __name__ == "__main__":
    ask_all(*sys.argv[1:])
