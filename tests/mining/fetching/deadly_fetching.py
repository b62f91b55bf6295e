"""Runs in a child process: fetching in which one body crashes the decoder of content codings, as native code can."""

import signal
import threading

from mining.fetching import Address, FetchConfig, exchange, fetch_bucket
from schemas.outcomes import CollectedOutcomes


def fetch(urls, scratch, *, mark, quarantine):
    undo = exchange.decode_content

    def deadly(body, *arguments, **more):
        if body == b"deadly":
            signal.pthread_kill(threading.get_ident(), signal.SIGSEGV)
        return undo(body, *arguments, **more)

    exchange.decode_content = deadly
    outcomes = CollectedOutcomes()
    config = FetchConfig(allow_hosts=("127.0.0.1",), host_interval=0, host_concurrency=8, attempts=1)
    fetch_bucket([Address(url) for url in urls], config, outcomes, mark, quarantine, scratch)
    kept = {row["url"] for row in outcomes.rows("images")}
    return kept, {row["url"]: row["reason"] for row in outcomes.rows("rejected")}
