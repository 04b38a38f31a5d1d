"""Servers that die, hang, or never come up; and leaving them in any state."""

import asyncio
import contextlib
import os
import signal
import socket
import sys

import pytest

from tests.tools.mcp.support import EVERYTHING, call, raw, servers_running
from tinyagent import ConfigurationError
from tinyagent.tools.mcp import MCPTools, connection, session

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


async def test_a_server_that_is_killed_is_started_again():
    async with MCPTools(EVERYTHING, name="mine") as kit:
        pid = await call(kit, "pid")
        tools = kit.tools
        error = await _killed_in_a_call(kit)
        assert error.startswith("The MCP server 'mine' has ended.\nThis was during the call of 'hang', which may have")
        assert error.endswith("The next call tries the server again.")
        again, three = await asyncio.gather(call(kit, "pid"), call(kit, "add", a=1))
        assert (again != pid, three) == (True, 3)
        assert kit.tools is tools  # they have not changed
        with pytest.raises(ConnectionError) as caught:
            await call(kit, "die", words="my last words")
        error = str(caught.value)
        assert "The end of its standard error:\nmy last words" in error
        assert error.endswith("The next call tries the server again.")
        assert await call(kit, "pid") not in (pid, again)
    async with kit:  # all is new
        assert await call(kit, "add", a=1) == 3


async def test_a_call_that_may_be_repeated_is(tmp_path):
    async with raw() as kit:
        arguments = {"do": "die once", "path": str(tmp_path / "died")}
        assert await call(kit, "repeat", **arguments) == "survived"


async def test_a_call_that_may_be_repeated_is_repeated_once(monkeypatch):
    monkeypatch.setattr(connection, "LONG_LIFE", 0.0)
    async with raw() as kit:
        with pytest.raises(ConnectionError, match=r"may have been carried out or not\. The next call tries the server"):
            await call(kit, "repeat", do="die")
        assert kit._connection._session.ending


async def _died(kit):
    """The error of a call that its server does not survive."""
    with pytest.raises(ConnectionError) as caught:
        await call(kit, ASK, do="die")
    return str(caught.value)


async def test_a_command_that_has_lived_a_while_is_started_again_at_once(monkeypatch):
    monkeypatch.setattr(connection, "FIRST_PAUSE", 1_000.0)
    monkeypatch.setattr(connection, "LONGEST_PAUSE", 1_000.0)
    async with raw(name="mine") as kit:
        for _ in range(3):
            await call(kit, ASK)
            kit._connection._session.since -= connection.LONG_LIFE
            assert (await _died(kit)).endswith("The next call tries the server again.")
        assert (await _died(kit)).endswith("The next call tries the server again.")  # one that has not
        assert (await _died(kit)).endswith("A call after 1000 s tries the server again.")
        with pytest.raises(ConnectionError, match=r"^The MCP server 'mine' has ended\.\nA call after 1000 s tries"):
            await call(kit, ASK)
        kit._connection._not_before = 0.0
        assert await call(kit, ASK)


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


async def test_a_server_that_does_not_come_up_again(tmp_path):
    async with raw("once", str(tmp_path / "started"), name="mine") as kit:
        await _died(kit)
        for _ in range(2):
            with pytest.raises(ConnectionError, match=r"'mine' has ended. .*\nonly once\nThe next call tries"):
                await call(kit, ASK)
        (tmp_path / "started").unlink()
        assert await call(kit, ASK)


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


async def test_a_server_over_http_that_is_killed():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:
        async with _process(port):
            kit = await stack.enter_async_context(MCPTools(url=f"http://127.0.0.1:{port}/mcp", name="mine"))
            error = await _killed_in_a_call(kit)
            assert error.startswith("The MCP server 'mine' ")
            assert error.endswith("The next call tries the server again.")
        for _ in range(2):  # what is down once and twice is not lost
            with pytest.raises(ConnectionError, match=r"'mine' cannot be reached: .*\nThe next call tries the server"):
                await call(kit, "add", a=1)
            async with _process(port):
                assert await call(kit, "add", a=1) == 3
                assert (await _killed_in_a_call(kit)).endswith("The next call tries the server again.")


async def test_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectionError, match="'mine' cannot be reached: ConnectError"):
        await MCPTools(url=f"http://127.0.0.1:{port}/mcp", name="mine").__aenter__()


async def test_a_server_that_never_answers():
    kit = raw("silent", start_timeout=0.5, name="mine")
    for _ in range(2):
        with pytest.raises(TimeoutError, match=r"'mine' did not list its tools within 0.5 s of its start"):
            await kit.__aenter__()


async def test_a_server_that_talks_of_other_things():
    with pytest.raises(TimeoutError, match="wrote to standard output is no MCP message"):
        await raw("chatty", start_timeout=3.0).__aenter__()


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


def test_a_command_that_cannot_be_started_on_uvloop(tmp_path):
    uvloop = pytest.importorskip("uvloop")
    for options, text in (({}, "'no-such-command'"), ({"cwd": tmp_path}, f"'no-such-command' in '{tmp_path}'")):
        with pytest.raises(ConfigurationError, match=f"cannot be started: .*: {text}"):
            uvloop.run(MCPTools("no-such-command", **options).__aenter__())


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
