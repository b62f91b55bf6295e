"""Kills at random moments, and other disturbances: the dataset is that of an undisturbed run, byte for byte.

`LENSMITH_KILLS=20` kills as often as the full claim says; the usual suite kills a few times.
"""

import json
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(900)
KILLS = int(os.environ.get("LENSMITH_KILLS", "3"))


@pytest.mark.timeout(900 + 300 * KILLS)
def test_kills_at_random_moments_change_nothing(job, finished, digests):
    expected = digests(finished / "dataset")
    seconds = json.loads((finished / "run.json").read_text())["seconds"] + 3
    moments = random.Random(20)
    killed = folder = ended = 0
    while killed < KILLS:
        output = job.root / f"killed-{folder}"
        process = job.start(output)
        try:
            assert process.wait(moments.uniform(0.3, seconds)) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
        else:
            assert digests(output / "dataset") == expected
            folder, ended = folder + 1, ended + 1
    done = job.run(job.root / f"killed-{folder}")
    assert done.returncode == 0, done.stderr
    for number in range(folder + 1):
        assert digests(job.root / f"killed-{number}" / "dataset") == expected
    print(f"{killed} kills, {folder + 1} runs brought to their end")


def test_killing_the_parent_alone_ends_its_children(job, finished, tmp_path):
    process = job.start(tmp_path / "out")
    try:
        children = wait_for(lambda: children_of(process.pid), 60)
    finally:
        process.kill()
        process.wait()
    wait_for(lambda: not any(alive(child) for child in children), 20)


def test_two_processes_give_the_same_bytes(job, finished, digests):
    done = job.run(job.root / "two", "--", "--direct_running_mode=multi_processing", "--direct_num_workers=2")
    assert done.returncode == 0, done.stderr
    assert "apitools" not in done.stderr
    assert digests(job.root / "two" / "dataset") == digests(finished / "dataset")


def test_of_two_runs_at_once_one_is_stopped_and_the_other_undisturbed(job, finished, digests):
    output = job.root / "at-once"
    first = job.start(output)
    wait_for((output / "_work" / "lock").exists, 200)
    second = job.run(output)
    assert second.returncode == 2
    assert "another run" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    status = job.lensmith("status", output)
    assert "at work: " in status.stdout
    assert first.wait(800) == 0
    assert digests(output / "dataset") == digests(finished / "dataset")


def test_ctrl_c_ends_with_a_sentence_and_the_run_can_go_on(job, finished, tmp_path):
    output = tmp_path / "out"
    command = [*job.command, *job.arguments(output)]
    process = subprocess.Popen(
        command,
        env=job.environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        # Whoever starts the tests in the background may have them ignore interrupts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads
    )
    wait_for((output / "_work" / "progress.json").exists, 60)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip().splitlines()[-1] == "lensmith: stopped; the same command goes on from here."
    assert "Traceback" not in said
    assert (output / "funnel.json").exists()
    assert "no run is at work" in job.lensmith("status", output).stdout


def test_status_tells_that_a_run_was_cut_off(job, tmp_path):
    output = tmp_path / "out"
    process = job.start(output)
    wait_for((output / "_work" / "progress.json").exists, 60)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert "the last run was cut off in extract_pages" in job.lensmith("status", output).stdout


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def processes():
    """Process id → parent and state, of every process of this machine."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            found[int(path.parent.name)] = (int(parent), state)
    return found


def children_of(pid):
    return [one for one, (parent, state) in processes().items() if parent == pid and state != "Z"]


def alive(pid):
    return processes().get(pid, (0, "Z"))[1] != "Z"
