"""The whole job on a Flink cluster of two hosts gives the bytes that it gives on one machine, whatever dies."""

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """`command(output)` runs the shipped example into a folder, in small shards so that both hosts have work."""
    settings = yaml.safe_load((EXAMPLES / "demo.yaml").read_text())
    settings["run"] = {"shard_bytes": 1 << 20, "host_buckets": 4}
    config = tmp_path_factory.mktemp("config") / "cluster.yaml"
    config.write_text(yaml.safe_dump(settings))

    def arguments(output, beam=()):
        inputs = [
            "--input",
            str(EXAMPLES / "wand-html" / "*.warc.gz"),
            "--input",
            str(EXAMPLES / "wand" / "*0.warc.gz"),
        ]
        words = ["run", *inputs, "--output", str(output), "--config", str(config), "--no-fetch"]
        return [sys.executable, "-m", "lensmith", *words, *(["--", *beam] if beam else [])]

    return arguments


@pytest.fixture(scope="module")
def expected(command, tmp_path_factory):
    """Digests of the dataset that DirectRunner makes."""
    output = tmp_path_factory.mktemp("direct") / "out"
    ran = subprocess.run(command(output), capture_output=True, text=True)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]
    found = digests(output)
    assert any(name.startswith("data/train") for name in found)
    return found


def digests(output):
    folder = output / "dataset"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def begin(cluster, arguments, log):
    return subprocess.Popen(arguments, stdout=log.open("ab"), stderr=subprocess.STDOUT, env=cluster.environment)


def shards_done(output):
    return len(list((output / "_work" / "manifests").rglob("*.json")))


def finish(process, log):
    assert process.wait(timeout=1200) == 0, log.read_text()[-3000:]


def test_the_cluster_gives_the_same_bytes_though_a_host_is_killed_and_comes_back(cluster, command, expected, tmp_path):
    output, log = tmp_path / "out", tmp_path / "log"
    before = set(cluster.hosts_of_jobs())
    process = begin(cluster, command(output, cluster.options), log)
    cluster.wait_for(lambda: shards_done(output) >= 3 or process.poll() is not None, "the first shards", 600)
    assert process.poll() is None, log.read_text()[-3000:]
    cluster.hosts[1].kill()
    time.sleep(5)
    cluster.start_host(cluster.hosts[1])
    finish(process, log)
    assert digests(output) == expected
    cluster.wait_for(lambda: len(cluster.task_managers()) >= 2, "the host to be back")
    jobs = {job: hosts for job, hosts in cluster.hosts_of_jobs().items() if job not in before}
    assert len(jobs) > 10
    assert set.union(*jobs.values()) == {host.name for host in cluster.hosts}


def test_a_submitter_that_is_killed_goes_on_from_the_manifests(cluster, command, expected, tmp_path):
    output, log = tmp_path / "out", tmp_path / "log"
    process = begin(cluster, command(output, cluster.options), log)
    cluster.wait_for(lambda: shards_done(output) >= 3 or process.poll() is not None, "the first shards", 600)
    assert process.poll() is None, log.read_text()[-3000:]
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in (output / "_work" / "manifests").rglob("*.json")}
    finish(begin(cluster, command(output, cluster.options), log), log)
    assert digests(output) == expected
    assert {path: path.stat().st_mtime_ns for path in kept if path.exists()}.items() <= kept.items()
