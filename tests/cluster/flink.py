"""A Flink session cluster of two hosts on one machine: each host a network namespace with a TaskManager and a pool of
Python workers of its own, the JobManager and Beam's job server outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BRIDGE, _GATEWAY = "lensmith0", "10.211.77.1"
_OPENS = [
    f"--add-opens=java.base/{name}=ALL-UNNAMED"
    for name in ("java.util", "java.lang", "java.net", "java.nio", "java.util.concurrent", "sun.nio.ch")
]
_REST, _JOBS, _ARTIFACTS, _POOL = 18081, 18099, 18098, 50000
_CONFIGURATION = f"""
jobmanager.rpc.address: {_GATEWAY}
jobmanager.bind-host: 0.0.0.0
rest.address: {_GATEWAY}
rest.bind-address: 0.0.0.0
rest.port: {_REST}
taskmanager.bind-host: 0.0.0.0
taskmanager.numberOfTaskSlots: 1
taskmanager.cpu.cores: 1.0
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.heap.size: 512m
taskmanager.memory.task.off-heap.size: 64m
taskmanager.memory.managed.size: 256m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
heartbeat.interval: 2000
heartbeat.timeout: 12000
blob.service.cleanup.interval: 60
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 20
restart-strategy.fixed-delay.delay: 3 s
"""


class UnavailableError(Exception):
    """What this machine lacks for a cluster."""


def jars() -> Path:
    """The folder of Flink's and Beam's jars, fetched by Maven once. Raises UnavailableError."""
    for program in ("java", "mvn", "ip"):
        if shutil.which(program) is None:
            raise UnavailableError(f"no {program} on this machine")
    if os.geteuid() != 0:
        raise UnavailableError("network namespaces need root")
    probe = subprocess.run(["ip", "netns", "add", "lensmith-probe"], capture_output=True, text=True)
    if probe.returncode:
        raise UnavailableError(f"no network namespaces: {probe.stderr.strip()}")
    subprocess.run(["ip", "netns", "del", "lensmith-probe"], check=True)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lensmith-flink-1.19"
    if not (cache / "complete").exists():
        command = ["mvn", "-q", "-B", "-f", str(Path(__file__).with_name("pom.xml")), "dependency:copy-dependencies"]
        fetched = subprocess.run([*command, f"-DoutputDirectory={cache}"], capture_output=True, text=True)
        if fetched.returncode:
            raise UnavailableError(f"Maven brought no jars: {fetched.stdout[-300:]}")
        (cache / "complete").touch()
    return cache


@dataclass
class Host:
    """One host: its namespace, address, and processes."""

    name: str
    address: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def kill(self) -> None:
        """SIGKILL for every process of the host, workers that were started by its pool included."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True)
        for pid in found.stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in self.processes:
            process.wait()
        self.processes.clear()


@dataclass
class Cluster:
    """The running cluster."""

    libraries: Path
    folder: Path
    environment: dict[str, str]
    hosts: list[Host] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def options(self) -> list[str]:
        """The Beam options of a job on this cluster."""
        return [
            "--runner=PortableRunner",
            f"--job_endpoint=localhost:{_JOBS}",
            "--environment_type=EXTERNAL",
            f"--environment_config=localhost:{_POOL}",
            "--environment_cache_millis=600000",
            "--parallelism=2",
        ]

    def start(self) -> None:
        """Start everything and wait until both hosts have registered."""
        remove_network()
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{_GATEWAY}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        (self.folder / "conf").mkdir()
        # What jobs upload stays below our folder, and goes with it: hundreds of megabytes each.
        places = f"process.working-dir: {self.folder}/work\nio.tmp.dirs: {self.folder}/work\n"
        (self.folder / "conf" / "config.yaml").write_text(_CONFIGURATION + places)
        entrypoint = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        self._java("jobmanager", [], entrypoint, "--configDir", str(self.folder / "conf"))
        for number in (1, 2):
            host = Host(f"lensmith-{number}", f"10.211.77.{number + 1}")
            _namespace(host, number)
            self.hosts.append(host)
            self.start_host(host)
        self.wait_for(lambda: len(self.task_managers()) == 2, "both TaskManagers to register")
        driver = "org.apache.beam.runners.flink.FlinkJobServerDriver"
        ports = ["--job-port", str(_JOBS), "--artifact-port", str(_ARTIFACTS), "--expansion-port", "-1"]
        artifacts = ["--artifacts-dir", str(self.folder / "artifacts"), "--flink-conf-dir", str(self.folder / "conf")]
        self._java("jobserver", [], driver, "--flink-master", f"{_GATEWAY}:{_REST}", *ports, *artifacts)
        self.wait_for(lambda: _listens(_JOBS), "the job server")

    def start_host(self, host: Host) -> None:
        """Start the processes of a host, the first time or after it was killed."""
        inside = ["ip", "netns", "exec", host.name]
        pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={_POOL}"]
        host.processes.append(self._start(f"{host.name}-pool", [*inside, *pool, "--container_executable="]))
        runner = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        identity = ["-D", f"taskmanager.resource-id={host.name}", "-D", f"taskmanager.host={host.address}"]
        arguments = ["--configDir", str(self.folder / "conf"), *identity]
        host.processes.append(self._java(f"{host.name}-taskmanager", inside, runner, *arguments))

    def stop(self) -> None:
        """Stop everything, whatever state it is in."""
        for host in self.hosts:
            host.kill()
        for process in self.processes:
            process.kill()
            process.wait()
        remove_network()
        for name in ("work", "artifacts"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def task_managers(self) -> list[str]:
        """Names of the hosts that the JobManager knows."""
        return [one["id"] for one in self.ask("/taskmanagers")["taskmanagers"]]

    def ask(self, path: str) -> Any:
        """An answer of the JobManager's REST API; an empty one while it starts."""
        try:
            with urllib.request.urlopen(f"http://{_GATEWAY}:{_REST}{path}", timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return {"taskmanagers": [], "jobs": []}

    def hosts_of_jobs(self) -> dict[str, set[str]]:
        """For each job that ran, the hosts that ran a part of it."""
        found: dict[str, set[str]] = {}
        for job in self.ask("/jobs/overview")["jobs"]:
            used = found.setdefault(job["jid"], set())
            for vertex in self.ask(f"/jobs/{job['jid']}")["vertices"]:
                for part in self.ask(f"/jobs/{job['jid']}/vertices/{vertex['id']}/taskmanagers")["taskmanagers"]:
                    used.add(part["taskmanager-id"])
        return found

    def wait_for(self, condition: Any, what: str, seconds: float = 300) -> None:
        """Wait until a condition holds; TimeoutError with the ends of all logs if it never does."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(f"{log.name}: {log.read_text()[-800:]}" for log in self.folder.glob("*.log"))
                raise TimeoutError(f"waited {seconds} s for {what}\n{logs}")
            time.sleep(0.3)

    def _java(self, name: str, inside: list[str], entry: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [*inside, "java", "-Xmx768m", *_OPENS, "-cp", f"{self.libraries}/*", entry, *arguments]
        process = self._start(name, command)
        if not inside:
            self.processes.append(process)
        return process

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with open(self.folder / f"{name}.log", "ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=self.environment, cwd=self.folder)


def remove_network() -> None:
    """Remove namespaces and bridge, those of a run that was killed too."""
    for number in (1, 2):
        Host(f"lensmith-{number}", "").kill()
        subprocess.run(["ip", "netns", "del", f"lensmith-{number}"], capture_output=True)
        subprocess.run(["ip", "link", "del", f"lensmith{number}a"], capture_output=True)
    subprocess.run(["ip", "link", "del", _BRIDGE], capture_output=True)


def _namespace(host: Host, number: int) -> None:
    outside, inside = f"lensmith{number}a", f"lensmith{number}b"
    _ip("netns", "add", host.name)
    _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", host.name)
    _ip("link", "set", outside, "master", _BRIDGE, "up")
    _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", inside)
    _ip("-n", host.name, "link", "set", inside, "up")
    _ip("-n", host.name, "link", "set", "lo", "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("localhost", port)) == 0
