"""Fetching image addresses through img2dataset, inside a sandbox that holds its requests to the rules of the web."""

from mining.fetching.addresses import Address, bucket_of, host_of
from mining.fetching.bucket import fetch_bucket
from mining.fetching.config import FetchConfig

__all__ = ["Address", "FetchConfig", "bucket_of", "fetch_bucket", "host_of"]
