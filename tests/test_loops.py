"""Both event loops that agents run on: asyncio's, and uvloop, which uvicorn takes where it is installed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.everything import EVERYTHING, PROCESS, everything
from tinyagent import run_sync
from tinyagent.sandbox.zygote import _SPARES

ROOT = Path(__file__).parents[1]
#: What is asked of a server at once: 200 requests.
ASKED = [*["/ask"] * 70, *["/stream"] * 60, *["/code"] * 50, *["/sync"] * 20]
#: Processes that wait for the next session.
SPARES = _SPARES if PROCESS else 0
needs_uvloop = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no uvloop")


@pytest.mark.each_loop
@pytest.mark.parametrize("kind", EVERYTHING)
async def test_a_run_of_every_kind(kind):
    assert await EVERYTHING[kind]() in (42, "42", "forty-two")


@needs_uvloop
@pytest.mark.parametrize("debug", [False, True])
def test_one_uvloop_after_the_other(debug):
    """With what the first has left behind, such as a zygote; and then a loop of asyncio's."""
    import uvloop

    for _ in range(2):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=debug) as runner:
            assert runner.run(everything()) == ""
    assert run_sync(everything()) == ""


@needs_uvloop
@pytest.mark.timeout(180)
async def test_a_web_server_with_200_requests_at_once(tmp_path):
    """Each has its answer, nothing is said on standard error, and nothing is left open."""
    errors = tmp_path / "errors"
    command = [sys.executable, "-W", "default::ResourceWarning", "-m", "tests.web_application", "uvloop"]
    with errors.open("wb") as file:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, cwd=ROOT, text=True)
    try:
        url = await asyncio.to_thread(server.stdout.readline)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=url.strip(), timeout=120, limits=limits) as client:
            for path in dict.fromkeys(ASKED):  # so that all is there that is kept
                await client.get(path)
            before = (await client.get("/about")).json()
            answers = await asyncio.gather(*(client.get(path) for path in ASKED))
            async with asyncio.timeout(30):  # spares that wait for a session may still be made
                while (left := (await client.get("/about")).json()) != {**before, "processes": SPARES}:
                    await asyncio.sleep(0.05)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    given = Counter((answer.url.path, answer.status_code, answer.text.strip('"')) for answer in answers)
    assert given == Counter((path, 200, "42" if path == "/code" else "forty-two") for path in ASKED)
    assert left["loop"] == "uvloop"
    assert errors.read_text() == ""
