"""Servers that die, hang, or never come up; and leaving them in any state."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys

import pytest

from tests.tools.mcp.support import EVERYTHING, call, legacy, over_http, raw, servers_running
from tinyagent import ConfigurationError
from tinyagent.tools.mcp import MCPToolError, MCPTools, connection, session

ASK = "find_things_v2_3"


async def _killed_in_a_call(kit):
    """The error of a call whose server is killed during it."""
    pid = await call(kit, "pid")
    hanging = asyncio.create_task(call(kit, "hang"))
    await call(kit, "started")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ConnectionError) as caught:
        await hanging
    return str(caught.value)


TRIED_AGAIN = "\nThe next call tries the server again."


@pytest.fixture
def no_pause(monkeypatch):
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.0)


async def test_a_server_that_is_killed_is_started_again_and_again():
    async with MCPTools(EVERYTHING, name="mine") as kit:
        pid = await call(kit, "pid")
        tools = kit.tools
        error = await _killed_in_a_call(kit)
        assert error.startswith("The MCP server 'mine' has ended.\nThis was during the call of 'hang', which may have")
        assert error.endswith(TRIED_AGAIN)
        assert await asyncio.gather(call(kit, "pid"), call(kit, "add", a=1)) != [pid, 3]
        assert kit.tools is tools  # they have not changed
        with pytest.raises(ConnectionError) as caught:
            await call(kit, "die", words="my last words")
        error = str(caught.value)
        assert "The end of its standard error:\nmy last words" in error
        assert re.search(r"The next call from [01]\.\d s from now on tries the server again.$", error)
        with pytest.raises(ConnectionError, match=r"has ended. The end of its .*\nmy last words\nThe next call from"):
            await call(kit, "add", a=1)  # it has died twice in a short time: there is a pause
        kit._connection._not_before = 0.0  # and it is over
        assert await call(kit, "add", a=1) == 3
    async with kit:  # all is new
        assert await call(kit, "add", a=1) == 3


async def test_a_call_that_may_be_repeated_is_made_again_once(tmp_path, no_pause):
    async with raw() as kit:
        arguments = {"do": "die once", "path": str(tmp_path / "died")}
        assert await call(kit, "repeat", **arguments) == "survived"
        (tmp_path / "died").unlink()
        assert await call(kit, "repeat", **arguments) == "survived"
        with pytest.raises(ConnectionError, match="during the call of 'repeat'"):
            await call(kit, "repeat", do="die")


async def test_pauses_grow_and_end_with_a_long_life(monkeypatch):
    monkeypatch.setattr(connection, "FIRST_PAUSE", 0.001)
    pauses = []
    async with raw() as kit:
        for life in (60.0, 60.0, 60.0, 60.0, 0.0):
            monkeypatch.setattr(kit._connection, "_long_life", life)
            with pytest.raises(ConnectionError):
                await call(kit, ASK, do="die")
            pauses.append(max(0.0, kit._connection._not_before - asyncio.get_running_loop().time()))
            kit._connection._not_before = 0.0
    assert pauses[0] == pauses[-1] == 0
    assert kit._connection is None


async def test_many_calls_at_once_share_one_new_start():
    async with raw() as kit:
        first = await call(kit, ASK, do="pid")
        with pytest.raises(ConnectionError):
            await call(kit, ASK, do="die")
        pids = await asyncio.gather(*[call(kit, ASK, do="pid") for _ in range(20)])
        assert len(set(pids)) == 1
        assert pids[0] != first


async def test_a_call_that_is_cancelled_while_it_connects_leaves_the_server_to_others():
    async with raw() as kit:
        with pytest.raises(ConnectionError):
            await call(kit, ASK, do="die")
        cancelled = asyncio.create_task(call(kit, ASK, do="pid"))
        for _ in range(5):
            await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert int(await call(kit, ASK, do="pid"))


async def test_a_server_that_dies_between_calls():
    async with raw() as kit:
        first = await call(kit, ASK, do="pid")
        os.kill(int(first), signal.SIGKILL)
        async with asyncio.timeout(20):
            while kit._connection._session.client is not None:
                await asyncio.sleep(0.01)
        assert await call(kit, ASK, do="pid") != first  # nobody was disturbed


async def test_a_server_that_does_not_come_up_again_is_tried_again(tmp_path, no_pause):
    started = tmp_path / "started"
    async with raw("once", str(started), name="mine") as kit:
        with pytest.raises(ConnectionError, match="next call tries the server again"):
            await call(kit, ASK, do="die")
        for _ in range(3):
            with pytest.raises(ConnectionError, match=r"'mine' has ended. .*\nonly once\nThe next call tries"):
                await call(kit, ASK)
        started.unlink()
        assert await call(kit, ASK, do="pid")


@contextlib.asynccontextmanager
async def _process(port):
    """A server at a port, in a process of its own."""
    process = await asyncio.create_subprocess_exec(*EVERYTHING, str(port))
    try:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    break
                await asyncio.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_a_server_over_http_that_is_deployed_again_and_again():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:
        async with _process(port):
            kit = await stack.enter_async_context(MCPTools(url=f"http://127.0.0.1:{port}/mcp", name="mine"))
            error = await _killed_in_a_call(kit)
            assert error.startswith("The MCP server 'mine' ")
            assert error.endswith(TRIED_AGAIN)
        for _ in range(2):
            async with _process(port):
                assert await call(kit, "add", a=1) == 3
                error = await _killed_in_a_call(kit)
                assert error.endswith(TRIED_AGAIN)
        with pytest.raises(ConnectionError, match=r"'mine' cannot be reached: .*\nThe next call from"):
            await call(kit, "add", a=1)  # during the outage
        kit._connection._not_before = 0.0
        async with _process(port):
            assert await call(kit, "add", a=1) == 3


async def test_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectionError, match="'mine' cannot be reached: ConnectError"):
        await MCPTools(url=f"http://127.0.0.1:{port}/mcp", name="mine").__aenter__()


NO_SESSION = (
    b'{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}'
)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b"", b"text/plain"),
        (400, NO_SESSION, b"application/json"),
        (400, b"Bad Request: No valid session ID provided", b"text/plain"),
        (404, NO_SESSION, b"application/json; charset=utf-8"),
        (502, b"<h1>Bad gateway</h1>", b"text/html"),
    ],
)
async def test_a_session_that_the_server_has_forgotten(status, body, kind):
    forgotten, seen = set(), set()

    def wrap(app):
        async def forgetful(scope, receive, send):
            name = dict(scope["headers"]).get(b"mcp-session-id")
            if name in forgotten:
                await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
                await send({"type": "http.response.body", "body": body})
                return
            seen.add(name)
            await legacy(app)(scope, receive, send)

        return forgetful

    async with over_http(wrap=wrap) as url, MCPTools(url=url) as kit:
        assert await call(kit, "add", a=1) == 3
        for _ in range(3):  # however often
            forgotten |= seen - {None}
            assert forgotten
            assert await call(kit, "add", a=1) == 3  # it is read-only, so that it was repeated
            assert seen - {None} - forgotten
        forgotten |= seen - {None}
        with pytest.raises(ConnectionError, match="may have been carried out or not"):
            await call(kit, "say", text="x")  # one that is not, is not
        assert await call(kit, "say", text="x") == "said: x"


async def test_what_an_http_server_says_of_its_failure_is_told():
    failing = []

    def wrap(app):
        async def fails(scope, receive, send):
            if failing and dict(scope["headers"]).get(b"mcp-name") == b"say":
                await send(
                    {"type": "http.response.start", "status": 503, "headers": [(b"content-type", b"text/plain")]}
                )
                await send({"type": "http.response.body", "body": b"closed for\nlunch " + b"x" * 1000})
                return
            await app(scope, receive, send)

        return fails

    async with over_http(wrap=wrap) as url, MCPTools(url=url) as kit:
        failing.append(1)
        with pytest.raises(MCPToolError, match="It answered with HTTP status 503: closed for lunch x") as caught:
            await call(kit, "say", text="x")
        assert len(str(caught.value)) < 500
        assert await call(kit, "add", a=1) == 3  # the session is still there


@pytest.mark.parametrize("when", ["calls", "lists"])
async def test_a_token_that_is_no_longer_good_is_told(when):
    expired = []

    def wrap(app):
        async def guarded(scope, receive, send):
            if expired:
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b"token expired"})
                return
            await app(scope, receive, send)

        return guarded

    async with over_http(wrap=wrap) as url, MCPTools(url=url) as kit:
        expired.append(1)
        if when == "calls":
            with pytest.raises(ConnectionError, match="HTTP status 401: token expired"):
                await call(kit, "say", text="x")
        with pytest.raises(ConnectionError, match="HTTP status 401: token expired"):
            await call(kit, "add", a=1)
        expired.clear()
        kit._connection._not_before = 0.0
        assert await call(kit, "add", a=1) == 3


async def test_a_server_that_never_answers():
    kit = raw("silent", start_timeout=0.5, name="mine")
    for _ in range(2):
        with pytest.raises(TimeoutError, match=r"'mine' did not list its tools within 0.5 s of its start"):
            await kit.__aenter__()


async def test_a_server_that_talks_of_other_things():
    with pytest.raises(TimeoutError, match="wrote to standard output is no MCP message"):
        await raw("chatty", start_timeout=0.5).__aenter__()


async def test_a_server_that_talks_of_other_things_too(capfd):
    async with raw("garbage") as kit:
        assert len(kit.tools) == 4
    async with raw("loud") as kit:
        with pytest.raises(ConnectionError) as caught:
            await call(kit, ASK, do="die")
    assert "x\nthe last words\n" in str(caught.value)
    assert len(str(caught.value)) < 5_000
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("quits", "'mine' has ended. The end of its standard error:\nI give up."),
        ("refuse", "'mine' refuses: not today"),
        ("unlisted", "'mine' refuses: no list today"),
    ],
)
async def test_a_server_that_does_not_come_up(mode, text):
    with pytest.raises(ConnectionError, match=text):
        await raw(mode, name="mine").__aenter__()


@pytest.mark.each_loop
async def test_a_command_that_cannot_be_started(tmp_path):
    with pytest.raises(ConfigurationError, match=r"cannot be started: .*no-such-command"):
        await MCPTools("no-such-command").__aenter__()
    with pytest.raises(ConfigurationError, match=r"cannot be started: .*nowhere"):
        await MCPTools(sys.executable, cwd=tmp_path / "nowhere").__aenter__()


async def test_a_list_without_end(monkeypatch):
    monkeypatch.setattr(session, "MAX_PAGES", 10)
    async with raw("endless") as kit:
        assert len(kit.tools) == 4


async def test_opening_that_is_cancelled():
    kit = raw("silent")
    opening = asyncio.create_task(kit.__aenter__())
    async with asyncio.timeout(20):
        while not servers_running():
            await asyncio.sleep(0.01)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not servers_running()


async def test_closing_during_a_call():
    async with raw(name="mine") as kit:
        waiting = asyncio.create_task(call(kit, ASK, do="wait"))
        await call(kit, ASK)
    with pytest.raises(ConnectionError, match="The connection to the MCP server 'mine' was closed"):
        await waiting


async def test_leaving_by_an_error():
    with pytest.raises(ZeroDivisionError):
        async with raw() as kit:
            await call(kit, ASK)
            raise ZeroDivisionError


async def test_a_server_that_will_not_end():
    async with raw("deaf") as kit:
        waiting = asyncio.create_task(call(kit, ASK, do="wait"))
        await call(kit, ASK)
    with pytest.raises(ConnectionError):
        await waiting
