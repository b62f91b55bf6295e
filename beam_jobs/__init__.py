"""Beam jobs: shard jobs and index steps; one module a job."""
