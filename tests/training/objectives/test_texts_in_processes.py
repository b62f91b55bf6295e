"""Two processes with half of the rows each give the loss and the gradients of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import texts_in_processes
import torch

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What one process finds, and what two find."""
    folder = tmp_path_factory.mktemp("processes")
    commands = [[sys.executable, texts_in_processes.__file__, str(folder), "2", str(rank)] for rank in range(2)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    started = [subprocess.Popen(one, env=environment, cwd=ROOT) for one in commands]
    alone = texts_in_processes.result(folder, 1, 0)
    assert [one.wait(timeout=120) for one in started] == [0, 0]
    return alone, torch.load(folder / "found.pt", weights_only=True)


@pytest.mark.parametrize("name", ["text_triplets", "alignment", "distillation", "soft_distillation"])
def test_two_processes_give_what_one_gives(found, name):
    alone, together = found
    parts = [one for one in alone if one.startswith(f"{name} ")]
    assert len(parts) == 4
    for part in parts:
        assert torch.allclose(alone[part], together[part], atol=1e-5), part
        # Text triplets show no images.
        assert (alone[part].abs().max() > 1e-4) == (part != "text_triplets images"), part
