import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from flink import Cluster, UnavailableError, jars


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of two hosts, running; tests skip with the reason where there can be none."""
    try:
        libraries = jars()
    except UnavailableError as error:
        pytest.skip(f"no Flink cluster here: {error}")
    root = Path(__file__).parents[2]
    environment = {
        **os.environ,
        # A pool starts its workers as `python`: that of the environment these tests run in.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    found = Cluster(libraries, tmp_path_factory.mktemp("flink"), environment)
    try:
        found.start()
        yield found
    finally:
        found.stop()
