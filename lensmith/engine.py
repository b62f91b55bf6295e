"""Runs transforms as Beam pipelines: on Beam's own local runner by default, on whatever `--runner` names otherwise."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineState

from schemas.errors import ConfigurationError, LensmithError, RunFailedError

_log = logging.getLogger(__name__)
#: Names that mean Beam's local runner. `DirectRunner` itself may download a binary of another runner.
_LOCAL = frozenset({"directrunner", "fnapirunner", "bundlebaseddirectrunner", "switchingdirectrunner"})


class BeamEngine:
    """Runs each transform as a pipeline with the user's Beam options."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = list(arguments)
        options = PipelineOptions(self._arguments)
        runner = options.view_as(StandardOptions).runner
        self.is_local = runner is None or runner.lower() in _LOCAL
        unknown = [name for name in self._arguments if not name.startswith("-")]
        if unknown and not any(name.startswith("--") for name in self._arguments):
            raise ConfigurationError(f"Beam options begin with two hyphens; {unknown[0]!r} does not.")

    @property
    def runner(self) -> str:
        """Name of the runner."""
        if self.is_local:
            return "DirectRunner"
        return str(PipelineOptions(self._arguments).view_as(StandardOptions).runner)

    def run(self, label: str, transform: beam.PTransform) -> None:
        """Run one transform to its end. Raises RunFailedError if the pipeline fails."""
        # DoFns hold plain values: nothing of the submitter's __main__ has to travel.
        options = PipelineOptions(self._arguments, save_main_session=False)
        name = f"lensmith-{label}".replace("_", "-").replace(".", "-").lower()
        if self.is_local:
            direct = options.view_as(DirectOptions)
            if not any(one.startswith(("--direct_", "--direct-")) for one in self._arguments):
                direct.direct_num_workers = max(1, os.cpu_count() or 1)
                direct.direct_running_mode = "multi_threading"
            options.view_as(StandardOptions).runner = None
        else:
            options = PipelineOptions([*self._arguments, f"--job_name={name}"], save_main_session=False)
        try:
            pipeline = beam.Pipeline(runner=FnApiRunner() if self.is_local else None, options=options)
            pipeline | label >> transform
            result = pipeline.run()
            state = result.wait_until_finish()
        except LensmithError:
            raise
        except (RuntimeError, OSError, ValueError) as error:
            raise RunFailedError(_sentence(label, error)) from error
        if state is not None and state != PipelineState.DONE:
            raise RunFailedError(f"the job {label} ended as {state} on {self.runner}: see the runner's log.")


def _sentence(label: str, error: BaseException) -> str:
    """What a pipeline's exception means to the user: Beam wraps the one that was raised into its traceback."""
    text = str(error)
    if "No space left on device" in text:
        return f"the disk is full ({label}): free some space and run the same command again, it goes on from there."
    for line in reversed(text.splitlines()):
        name, colon, message = line.partition(": ")
        if colon and name.rsplit(".", 1)[-1].endswith("Error") and " " not in name:
            return f"the job {label} failed: {message.split(' [while running')[0]} ({name.rsplit('.', 1)[-1]})."
    return f"the job {label} failed: {text.splitlines()[0] if text else type(error).__name__}"
