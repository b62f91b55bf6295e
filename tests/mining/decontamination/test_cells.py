import numpy as np
from made_fingerprints import made_numbers

from mining.decontamination.cells import centres, nearest_cells


def test_like_sketches_are_in_one_cell():
    _, sketches = made_numbers(400)
    cells = centres(sketches, 20)
    assert cells.dtype == np.int8
    assert cells.shape == (20, sketches.shape[1])
    homes = nearest_cells(sketches, cells, 1)[:, 0]
    exact = sketches.astype(float) @ (cells / np.linalg.norm(cells.astype(float), axis=1, keepdims=True)).T
    assert (homes == exact.argmax(axis=1)).mean() > 0.99
    assert np.array_equal(cells, centres(sketches, 20))


def test_the_nearest_cells_come_first_and_each_once():
    _, sketches = made_numbers(100)
    cells = centres(sketches, 10)
    probed = nearest_cells(sketches, cells, 4)
    assert probed.shape == (100, 4)
    assert all(len(set(row)) == 4 for row in probed.tolist())
    assert np.array_equal(probed[:, 0], nearest_cells(sketches, cells, 1)[:, 0])
    assert nearest_cells(sketches, cells, 99).shape == (100, 10)


def test_there_are_no_more_cells_than_sketches_and_equal_ones_do_no_harm():
    _, sketches = made_numbers(3)
    assert len(centres(sketches, 10)) == 3
    assert centres(sketches[:0], 10).shape == (0, sketches.shape[1])
    same = np.repeat(sketches[:1], 50, axis=0)
    assert set(nearest_cells(same, centres(same, 5), 1)[:, 0].tolist()) == {0}
    assert np.isfinite(centres(np.zeros((9, 4), np.int8), 3)).all()
