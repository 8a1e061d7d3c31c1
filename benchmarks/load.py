"""A load generator on loopback: keep-alive connections that post one body as fast as they may."""

import asyncio
import statistics
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What one run measured: requests a second, and latency in milliseconds."""

    rate: float
    p50: float
    p99: float
    failures: int


class _Connection(asyncio.Protocol):
    """Sends one request after another; reads just enough of the answer to know that it ended."""

    def __init__(self, request: bytes, until: float) -> None:
        self.request = request
        self.until = until
        self.latencies: list[float] = []
        self.failures = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.buffer = b""
        self.sent = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, _, body = self.buffer.partition(b"\r\n\r\n")
        marker = head.lower().find(b"content-length:")
        if marker < 0:
            return
        length = int(head[marker + 15 :].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        self.latencies.append(now - self.sent)
        self.failures += not head.startswith(b"HTTP/1.1 200")
        if now < self.until:
            self._send()
        elif not self.done.done():
            self.transport.close()
            self.done.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self.failures += 1
            self.done.set_result(None)


def post(port: int, path: str, body: bytes, connections: int, seconds: float) -> Load:
    """Post ``body`` over ``connections`` for some seconds and return what was measured."""
    return asyncio.run(_post(port, path, body, connections, seconds))


async def _post(port: int, path: str, body: bytes, connections: int, seconds: float) -> Load:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    runs = []
    for _ in range(connections):
        _transport, run = await loop.create_connection(
            lambda: _Connection(request, start + seconds), "127.0.0.1", port
        )
        runs.append(run)
    await asyncio.gather(*(run.done for run in runs))
    elapsed = time.perf_counter() - start
    latencies = sorted(latency * 1e3 for run in runs for latency in run.latencies)
    p99 = latencies[int(len(latencies) * 0.99) - 1] if len(latencies) > 1 else 0.0
    return Load(
        len(latencies) / elapsed,
        statistics.median(latencies),
        p99,
        sum(run.failures for run in runs),
    )
