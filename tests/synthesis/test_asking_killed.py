"""SIGKILL at ten moments of asking a real model through a faulty line: what is stored is not asked again."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest


@pytest.mark.timeout(600)
def test_kills_cost_no_more_than_the_unflushed_window(fault_proxy, asking_script, tmp_path):
    server, address = fault_proxy.small_model_server()
    proxy = fault_proxy.FaultProxy(address, seed=3, retry_after="0")
    script = Path(__file__).with_name("asking_script.py")
    command = [sys.executable, str(script), proxy.url, str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    moments = random.Random(7)
    try:
        for number in range(10):
            # A little further each time, from the first answers to nearly the last.
            goal = (number + moments.random()) * asking_script.REQUESTS / 11
            process = subprocess.Popen(command, env=environment)
            while sum(map(bool, proxy.answered.values())) < goal and process.poll() is None:
                time.sleep(0.005)
            process.kill()
            assert process.wait() < 0
        outcomes = asking_script.ask_all(proxy.url, str(tmp_path))
        asked = sum(proxy.asked.values())
        # Nothing that is stored is asked again, ever.
        again = asking_script.ask_all(proxy.url, str(tmp_path))
        failed = outcomes.counts.entry("request").failed.total()
        assert (sum(proxy.asked.values()) == asked) is (failed == 0)
    finally:
        proxy.close()
        del server
    entry = again.counts.entry("request")
    assert entry.entered == entry.kept + entry.rejected.total() + entry.failed.total() == asking_script.REQUESTS
    # Unflushed at a kill: less than a part, those in flight, and what came while a part was written.
    window = asking_script.FLUSH + 2 * asking_script.CONCURRENCY
    paid_again = sum(count - 1 for count in proxy.answered.values() if count > 1)
    assert paid_again <= 10 * window
