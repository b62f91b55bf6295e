"""Two processes with half of the rows each give the loss and the gradients of one."""

import pytest
import torch
import two_processes
from two_processes import alone_and_together


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What one process finds, and what two find."""
    return alone_and_together(two_processes, tmp_path_factory.mktemp("processes"))


@pytest.mark.parametrize("name", ["memory_bank", "slerp_captions", "slerp_features", "uncertainty"])
def test_two_processes_give_what_one_gives(found, name):
    alone, together = found
    parts = [one for one in alone if one.startswith(name)]
    assert len(parts) == 4
    for part in parts:
        assert torch.allclose(alone[part], together[part], atol=1e-5), part
        assert alone[part].abs().max() > 1e-4, part
