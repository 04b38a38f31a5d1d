"""Measure fetching: CPU of 500 calls at once, and how the event loop fares against hostile servers.

    python benchmarks/web.py [--calls 500] [--rounds 5] [--only fetch,browse,hostile] [--at-once 1] [--profile]

The server runs in a process of its own, so the CPU is that of the client. For the calls: user + system seconds of the
process for one burst, and the greatest time for which the event loop was held; the limit is 2 s of CPU for 500
browse calls. For the hostile servers: what came of it, seconds, loop lag, and what the process grew by.
"""
from __future__ import annotations

import argparse
import asyncio
import functools
import gzip
import os
import resource
import subprocess
import sys
import time
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

def page(paragraph: str) -> bytes:
    """HTML of 10 kB."""
    body = f"<p>{paragraph}</p>" * (10_000 // len(paragraph))
    return f"<html><head><title>A page</title></head><body><h1>A page</h1>{body}</body></html>".encode()


PLAIN = "A paragraph with some more words, as there are in most of them. "
MARKED = "A paragraph with <b>bold</b> words and <a href='/other'>a link</a> to another page. "
#: A page with a tag for every 80 characters, and one with a tag for every 20.
PAGES = {"page": page(PLAIN * 4 + MARKED), "dense": page(MARKED * 6)}
HOSTILE = ["bomb", "drip", "loop", "short", "reset", "silent", "garbage", "headers", "many_headers", "endless_headers",
           "chunks", "bad_chunks", "interim", "empty_members", "endless"]
#: Seconds that a hostile server has.
PATIENCE = 5.0


# ---- the server


def answer(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: text/html", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@functools.cache
def bomb() -> bytes:
    """300 MB of zeros."""
    packer = zlib.compressobj(9, wbits=31)
    body = b"".join(packer.compress(bytes(1_000_000)) for _ in range(300)) + packer.flush()
    return answer(body, "Content-Encoding: gzip")


async def hostile(name: str, writer: asyncio.StreamWriter) -> None:
    """Answer in a way that hurts; return to hang up."""
    async def send(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    start = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    chunked = start + b"Transfer-Encoding: chunked\r\n\r\n"
    if name == "bomb":
        await send(bomb())
    elif name == "drip":
        await send(start + b"Content-Length: 100000\r\n\r\n")
        while True:
            await send(b"x")
            await asyncio.sleep(0.05)
    elif name == "loop":
        await send(b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n")
    elif name == "short":
        await send(start + b"Content-Length: 100000\r\n\r\nonly this")
    elif name == "reset":
        await send(start + b"Content-Length: 100000\r\n\r\nonly this")
        writer.transport.abort()
    elif name == "silent":
        await asyncio.sleep(60)
    elif name == "garbage":
        await send(os.urandom(100_000))
    elif name == "headers":
        for number in range(100_000):
            await send(b"HTTP/1.1 200 OK\r\n" * (not number) + b"X-%d: " % number + b"x" * 1000 + b"\r\n")
    elif name == "many_headers":
        await send(start + b"a:\r\n" * 24_000 + b"Content-Length: 2\r\n\r\nok")
    elif name == "endless_headers":
        await send(start)
        while True:
            await send(b"A" * 65536)
    elif name == "chunks":
        await send(chunked)
        while True:
            await send(b"1\r\nx\r\n" * 10_000)
    elif name == "bad_chunks":
        await send(chunked + b"zz\r\nnonsense\r\n")
    elif name == "interim":
        while True:
            await send(b"HTTP/1.1 100 \r\n\r\n" * 4000)
    elif name == "empty_members":
        await send(start + b"Content-Encoding: gzip\r\n\r\n")
        while True:
            await send(gzip.compress(b"") * 4000)
    elif name == "endless":
        await send(start + b"\r\n")
        while True:
            await send(bytes(65536))


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode().strip("/")
            if path in HOSTILE:
                await hostile(path, writer)
                if path != "loop":
                    return
            else:
                writer.write(answer(PAGES[path.partition("/")[0]]))
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def serve() -> None:
    server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    asyncio.get_running_loop().run_in_executor(None, lambda: (sys.stdin.read(), os._exit(0)))
    await server.serve_forever()


# ---- the measurements


class Lag:
    """The greatest time for which the event loop was held, in seconds."""

    async def __aenter__(self) -> Lag:
        self.greatest = 0.0
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def _watch(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            self.greatest = max(self.greatest, time.perf_counter() - began - 0.005)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0.01)
        self._task.cancel()


async def burst(call, calls: int) -> tuple[float, float, float]:
    """CPU, wall clock and loop lag of so many calls at once, all in seconds."""
    async with Lag() as lag:
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(call(number) for number in range(calls)))
        spent = time.process_time() - cpu, time.perf_counter() - began
    return *spent, lag.greatest


async def measure(title: str, call, options: argparse.Namespace) -> None:
    await call(0)  # imports
    for number in range(options.rounds):
        cpu, wall, lag = await burst(call, options.calls)
        print(f"{title:<24} round {number + 1}: {options.calls} calls, {cpu:6.2f} s CPU, {wall:6.2f} s, "
              f"loop held {lag * 1000:5.0f} ms")


def fetching(base: str, name: str) -> object:
    from tinyagent.tools.http import fetch

    async def call(number: int) -> None:
        found = await fetch(f"{base}/{name}/{number}", allow=["127.0.0.1"])
        assert found.ok and found.content == PAGES[name]

    return call


def browsing(base: str, name: str) -> object:
    from tinyagent.tools.builtin.web_browse import WebBrowser

    browser = WebBrowser(allow=["127.0.0.1"])

    async def call(number: int) -> None:
        found = await browser.web_browse(f"{base}/{name}/{number}")
        assert found.title == "A page"

    return call


async def survive(base: str, at_once: int) -> None:
    from tinyagent.tools.http import FetchError, fetch

    await fetch(f"{base}/page/0", allow=["127.0.0.1"])
    print(f"\n{'server':<16}{'s':>6}{'lag ms':>8}{'CPU s':>7}{'+MB':>6}  outcome")
    for name in HOSTILE:
        size, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        async with Lag() as lag:
            began = time.perf_counter()
            one = functools.partial(fetch, f"{base}/{name}", allow=["127.0.0.1"], seconds=PATIENCE)
            found = (await asyncio.gather(*(one() for _ in range(at_once)), return_exceptions=True))[0]
            if isinstance(found, FetchError):
                outcome = f"{type(found).__name__}: {found}"
            elif isinstance(found, BaseException):
                raise found
            else:
                outcome = f"{len(found.content):,} bytes{', truncated' if found.truncated else ''}"
            seconds = time.perf_counter() - began
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size) / 1024
        print(f"{name:<16}{seconds:6.2f}{lag.greatest * 1000:8.0f}{time.process_time() - cpu:7.2f}{grown:6.0f}  {outcome[:110]}")


async def main(options: argparse.Namespace, base: str) -> None:
    for name in PAGES:
        if "fetch" in options.only:
            await measure(f"fetch {name}", fetching(base, name), options)
        if "browse" in options.only:
            await measure(f"web_browse {name}", browsing(base, name), options)
    if "hostile" in options.only:
        await survive(base, options.at_once)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", type=lambda text: text.split(","), default=["fetch", "browse", "hostile"])
    parser.add_argument("--at-once", type=int, default=1, help="fetches of each hostile server at the same time")
    parser.add_argument("--profile", action="store_true", help="of the calls, by cProfile")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        sys.exit()
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        base = f"http://127.0.0.1:{int(server.stdout.readline())}"
        if options.profile:
            import cProfile
            import pstats

            with cProfile.Profile() as profile:
                asyncio.run(main(options, base))
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)
        else:
            asyncio.run(main(options, base))
        server.stdin.close()
