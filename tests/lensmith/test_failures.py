import errno
import os

import pytest

from lensmith.failures import error_of_os, error_of_pipeline

TRACEBACK = """Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1512, in process
{line} [while running 'extract_pages/Run']

"""


@pytest.mark.parametrize(
    ("number", "status", "words"),
    [
        (errno.ENOSPC, 1, "free some space"),
        (errno.EDQUOT, 1, "free some space"),
        (errno.EFBIG, 1, "ulimit -f"),
        (errno.EMFILE, 1, "ulimit -n"),
        (errno.EROFS, 2, "choose another --output"),
        (errno.EACCES, 2, "permission denied"),
        (errno.ENOENT, 2, "check the path"),
        (errno.EIO, 1, "run the same command again"),
    ],
)
def test_errors_of_the_system_say_their_mend(number, status, words):
    error = error_of_os(OSError(number, os.strerror(number), "/out/_work/lock"))
    assert error.exit_code == status
    assert words in str(error)
    assert "/out/_work/lock" in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("line", "status", "sentence"),
    [
        (
            "schemas.errors.ConfigurationError: the model x is not there: name another.",
            2,
            "the model x is not there: name another.",
        ),
        ("schemas.errors.MissingPackageError: x needs y: install it.", 2, "x needs y: install it."),
        ("beam_jobs.supervised.ChildLostError: the child crashed 4 times.", 1, "the child crashed 4 times."),
        (
            "OSError: [Errno 28] No space left on device",
            1,
            "the disk is full: free some space and run the same command again, it goes on from there (in job).",
        ),
        ("ValueError: a fault", 1, "the job job failed: a fault (ValueError)."),
    ],
)
def test_what_a_worker_raised_is_found_in_the_text_of_its_traceback(line, status, sentence):
    error = error_of_pipeline("job", RuntimeError(TRACEBACK.format(line=line)))
    assert (error.exit_code, str(error)) == (status, sentence)


def test_errors_without_a_traceback():
    assert str(error_of_pipeline("job", OSError(errno.ENOSPC, "x"))).startswith("the disk is full")
    assert str(error_of_pipeline("job", RuntimeError("lost"))) == "the job job failed: lost."
    assert str(error_of_pipeline("job", RuntimeError())) == "the job job failed: RuntimeError."
