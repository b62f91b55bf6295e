"""Peak resident memory of a benchmark's own process."""

from __future__ import annotations

from pathlib import Path


def peak_of_this_process() -> float:
    """VmHWM in MB; `getrusage` would tell the parent's peak, which a child inherits."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    raise OSError("this system does not tell a process's peak memory")
