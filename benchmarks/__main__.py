"""All benchmarks, one after another, each in a process of its own: `make bench`, `python -m benchmarks [NAME …]`.

A benchmark prints its own table with its aims. One that cannot run here is named at the end, and the exit status is 1;
a figure that misses its aim is for the reader to judge: machines differ.
"""

from __future__ import annotations

import subprocess
import sys
import time

#: In the order of the stages.
MODULES = (
    "extract_pages",
    "fetch_images",
    "annotate_images",
    "instances",
    "write_instructions",
    "publish_dataset",
    "train",
    "evaluate",
    "near_duplicates",
    "scaling",
    "corpus_mining",
    "vector_search",
)


def main() -> int:
    """Run the benchmarks that are named, all by default; 1 if one of them failed."""
    wanted = sys.argv[1:] or list(MODULES)
    unknown = [one for one in wanted if one not in MODULES]
    if unknown:
        print(f"there is no benchmark {unknown[0]!r}: there are {', '.join(MODULES)}.", file=sys.stderr)
        return 2
    failed = []
    for name in wanted:
        print(f"== {name} ==", flush=True)
        began = time.monotonic()
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode:
            failed.append(name)
        print(f"({time.monotonic() - began:.0f} s)\n", flush=True)
    if failed:
        print(f"could not run: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
