"""Input, tables and dataset on an S3-compatible server: the bytes are those of a run on a local disk."""

import hashlib

import pytest

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def store(s3_environment):
    """Two buckets on an S3-compatible server on loopback: the environment that leads to it, and its filesystem."""
    import boto3
    import s3fs

    environment = s3_environment
    client = {"endpoint_url": environment["AWS_ENDPOINT_URL"], "region_name": "us-east-1"}
    for name in ("crawls", "runs"):
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        boto3.client("s3", **client, **keys).create_bucket(Bucket=name)
    files = s3fs.S3FileSystem(key="key", secret="secret", client_kwargs=client, use_listings_cache=False)
    return environment, files


def test_a_run_on_an_object_store_gives_the_same_bytes(job, finished, digests, store):
    environment, files = store
    for path in sorted((job.root / "input").iterdir()):
        files.put_file(str(path), f"crawls/site/{path.name}")
    command = ["run", "--input", "s3://crawls/site/*.warc.gz", "--output", "s3://runs/one"]
    command += ["--config", job.root / "own.yaml", "--no-fetch"]
    done = job.lensmith(*command, env=environment)
    assert done.returncode == 0, done.stderr
    root = "runs/one/dataset/"
    found = {path.removeprefix(root): hashlib.sha256(files.cat_file(path)).hexdigest() for path in files.find(root)}
    assert found == digests(finished / "dataset")
    tables = {path.split("/")[2] for path in files.find("runs/one")}
    assert {"pages", "images", "verified", "funnel.json", "run.json", "report.html", "_work"} <= tables
    again = job.lensmith(*command, env=environment)
    assert again.returncode == 0, again.stderr
    assert "shards to do" not in again.stderr
    assert "done" in job.lensmith("status", "s3://runs/one", env=environment).stdout


def test_a_bucket_that_is_not_there_ends_with_a_sentence(job, store):
    environment, _ = store
    done = job.lensmith("run", "--input", "s3://nowhere/*.warc.gz", "--output", "s3://runs/two", env=environment)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    done = job.lensmith("run", "--input", job.root / "input", "--output", "s3://nowhere/two", env=environment)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "nowhere" in done.stderr


def test_a_store_that_does_not_answer_ends_with_a_sentence(job, store):
    environment, _ = store
    away = environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    done = job.lensmith("status", "s3://runs/one", env=away)
    assert done.returncode == 2
    assert "check its address" in done.stderr
    assert "Traceback" not in done.stderr
