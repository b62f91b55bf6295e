import asyncio

import pytest

from synthesis.writers.endpoints import Endpoint, Endpoints, RestingError


def test_who_comes_late_in_a_long_pause_is_woken_at_its_end():
    async def wait():
        endpoints = Endpoints([Endpoint("http://one", client=None)], limit=4, max_wait=0.2)
        first, second = await endpoints.take(), await endpoints.take()
        endpoints.failed(first, "http_429", retry_after=0.4)
        endpoints.give_back(first)
        with pytest.raises(RestingError):
            await endpoints.take()
        # Less than `max_wait` is left of the pause now, and nothing else will happen.
        await asyncio.sleep(0.25)
        endpoints.give_back(second)
        return await asyncio.wait_for(endpoints.take(), 10)

    assert asyncio.run(wait()).flying == 1
