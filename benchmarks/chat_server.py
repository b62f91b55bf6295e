"""An OpenAI-compatible endpoint on loopback, in a process of its own, that takes a fixed time for an answer and gives
so many at once: what a saturated model server looks like from outside."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

_INSTRUCTIONS = {"instructions": [{"text": "show it at another season", "category": "attribute"}]}
_ANSWER = json.dumps(
    {"choices": [{"message": {"role": "assistant", "content": json.dumps(_INSTRUCTIONS)}, "finish_reason": "stop"}]}
).encode()


async def _talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, latency: float, slots: asyncio.Semaphore
) -> None:
    """The requests of one connection, one after another."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            async with slots:
                await asyncio.sleep(latency)
            size = len(_ANSWER)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % size)
            writer.write(_ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def _serve(latency: float, slots: int, ready: Connection) -> None:
    async def run() -> None:
        free = asyncio.Semaphore(slots)
        server = await asyncio.start_server(lambda r, w: _talk(r, w, latency, free), "127.0.0.1", 0, backlog=1024)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def chat_server(latency: float, slots: int) -> Iterator[str]:
    """The base address of a running server."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(latency, slots, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        process.kill()
        process.join()
