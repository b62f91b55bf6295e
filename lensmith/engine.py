"""Runs transforms as Beam pipelines: on Beam's own local runner by default, on whatever `--runner` names otherwise."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence

import apache_beam as beam
import grpc  # type: ignore[import-untyped]
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineState, create_runner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from beam_jobs import local_worker
from beam_jobs.quiet import told_once
from beam_jobs.transforms import ShardMap
from lensmith.failures import error_of_pipeline
from schemas.errors import ConfigurationError, LensmithError, RunFailedError

#: Names that mean Beam's local runner. `DirectRunner` itself may download a binary of another runner.
_LOCAL = frozenset({"direct", "fnapi", "bundlebaseddirect", "switchingdirect"})


class BeamEngine:
    """Runs each transform as a pipeline with the user's Beam options. Raises ConfigurationError for wrong ones."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = list(arguments)
        runner = _parsed(self._arguments).view_as(StandardOptions).runner
        self.is_local = runner is None or runner.lower().removesuffix("runner") in _LOCAL
        self.runner = "DirectRunner" if self.is_local else str(runner)
        if not self.is_local:
            try:
                create_runner(self.runner)
            except (ValueError, ImportError, AttributeError) as error:
                known = "DirectRunner, FlinkRunner, SparkRunner, DataflowRunner, PortableRunner"
                raise ConfigurationError(f"there is no runner {runner!r} here: Beam knows {known}.") from error

    @property
    def workers(self) -> int:
        """How many processes work at once, as far as the options tell. Beam's local runner works in threads of one
        process unless it is told otherwise."""
        options = PipelineOptions(self._arguments).get_all_options(drop_default=True)
        if self.is_local:
            several = options.get("direct_running_mode") == "multi_processing"
            return max(1, int(options.get("direct_num_workers") or 1)) if several else 1
        named = (options.get(name) for name in ("parallelism", "max_num_workers", "num_workers"))
        return max(1, *(int(value or 0) for value in named))

    def run(self, label: str, transform: beam.PTransform) -> None:
        """Run one transform to its end. Raises RunFailedError if the pipeline fails."""
        name = f"lensmith-{label}".replace("_", "-").replace(".", "-").lower()
        try:
            if self.is_local:
                runner, options = self._local(shuffles=not isinstance(transform, ShardMap))
            else:
                # DoFns hold plain values: nothing of the submitter's __main__ has to travel.
                runner = None
                options = PipelineOptions([*self._arguments, f"--job_name={name}"], save_main_session=False)
            pipeline = beam.Pipeline(runner=runner, options=options)
            pipeline | label >> transform
            with told_once() if self.is_local else contextlib.nullcontext():
                state = pipeline.run().wait_until_finish()
        except LensmithError:
            raise
        except (RuntimeError, OSError, ValueError, grpc.RpcError, grpc.FutureTimeoutError) as error:
            raise error_of_pipeline(label, error) from error
        if state is not None and state != PipelineState.DONE:
            raise RunFailedError(f"the job {label} ended as {state} on {self.runner}: see the runner's log.")

    def _local(self, shuffles: bool) -> tuple[FnApiRunner, PipelineOptions]:
        """Beam's local runner, with a thread for each processor unless Beam options say otherwise.

        What shuffles has one thread. With several, elements that one emits while another waits outside of Python's lock
        are lost, some in a thousand (Beam 2.77); and its work is Python's own, which threads do not speed up."""
        options = PipelineOptions(self._arguments, save_main_session=False)
        options.view_as(StandardOptions).runner = None
        direct = options.view_as(DirectOptions)
        if not any(one.startswith(("--direct_", "--direct-")) for one in self._arguments):
            direct.direct_num_workers = max(1, os.cpu_count() or 1)
            direct.direct_running_mode = "multi_threading"
        if shuffles and direct.direct_running_mode != "multi_processing":
            direct.direct_num_workers, direct.direct_running_mode = 1, "in_memory"
        if direct.direct_running_mode != "multi_processing":
            return FnApiRunner(), options
        # In this mode the runner starts processes that nothing ends when it is killed: it gets ours instead.
        direct.direct_running_mode = None
        os.environ[local_worker.PARENT_VARIABLE] = str(os.getpid())
        command = local_worker.command()
        return FnApiRunner(default_environment=SubprocessSDKEnvironment.from_command_string(command)), options


def _parsed(arguments: Sequence[str]) -> PipelineOptions:
    """Options of whose values Beam's parser approves; it would print its whole usage and leave."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(list(arguments))
            options.get_all_options()
    except SystemExit as error:
        complaint = said.getvalue().strip().splitlines()[-1].partition("error: ")[2]
        raise ConfigurationError(f"Beam options after `--`: {complaint or 'they cannot be read'}.") from error
    sys.stderr.write(said.getvalue())
    return options
