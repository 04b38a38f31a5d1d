"""Sessions over HTTP that the server has lost: redeployed servers, gateways, and what they answer."""

import asyncio
import contextlib
import json

import pytest

from tests.tools.mcp.support import call, legacy, make, over_http
from tinyagent.tools.mcp import MCPToolError, MCPTools, connection, session

TYPESCRIPT = {"code": -32000, "message": "Bad Request: No valid session ID provided"}
#: What servers answer to a session that they do not know, and what of it the user reads.
ANSWERS = {
    "TypeScript example": (400, {"jsonrpc": "2.0", "error": TYPESCRIPT}, TYPESCRIPT["message"]),
    "TypeScript SDK": (
        404,
        {"jsonrpc": "2.0", "error": {"code": -32001, "message": "Session not found"}, "id": None},
        "Session not found",
    ),
    "empty": (404, b"", ""),
    "gone": (410, b"<h1>Gone.</h1>\n<p>For good", "<h1>Gone.</h1> <p>For good"),
    "unauthorized": (401, {"error": "no such token"}, "no such token"),
    "long": (403, b"x" * 10_000, "x" * 500 + " [...]"),
    "gateway": (502, b"Bad gateway", "Bad gateway"),
    "failing": (500, {"detail": "KeyError"}, "KeyError"),
}


class Front:
    """What stands before a server with sessions: it can forget them, answer in its place, and hold answers back.

    Attributes:
        calls: How often each tool was called.
        started: How many sessions there were.
    """

    def __init__(self):
        self.calls, self.started = [], 0
        self.forgotten, self.seen = set(), set()
        self.status, self.body = 404, b""
        self.down = self.cut = False
        self.hold = asyncio.Event()
        self.hold.set()

    def forget(self, status, body=b""):
        """Know none of the sessions any more."""
        self.status, self.body = status, body
        self.forgotten |= self.seen

    def wrap(self, app):
        """The server behind it."""
        behind = legacy(app)

        async def front(scope, receive, send):
            name = dict(scope["headers"]).get(b"mcp-session-id")
            message, receive = await _read(receive) if scope["method"] == "POST" else ({}, receive)
            method = message.get("method")
            self.started += method == "initialize"
            if self.down or name in self.forgotten:
                if method == "tools/list":
                    await self.hold.wait()
                await _answer(send, self.status, self.body)
                return
            if method == "tools/call":
                self.calls.append(message["params"]["name"])
            if name is not None:
                self.seen.add(name)
            await behind(scope, receive, self.cutting(send) if self.cut and method == "tools/call" else send)

        return front

    def cutting(self, send):
        """Break the answer off after its headers."""

        async def cut(message):
            if message["type"] == "http.response.start":
                await send(message)
            else:
                self.cut = False
                await send({"type": "http.response.body", "body": b""})

        return cut


async def _read(receive):
    """The message in a request, and a `receive` that gives it again."""
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    given = asyncio.Event()

    async def again():
        if given.is_set():
            return await receive()
        given.set()
        return {"type": "http.request", "body": body}

    return json.loads(body), again


async def _answer(send, status, body):
    kind = b"text/html" if isinstance(body, bytes) else b"application/json"
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def fronted():
    """What stands before the server, and `kit`, which talks to it."""
    found = Front()
    async with over_http(wrap=found.wrap) as url, MCPTools(url=url, name="mine") as kit:
        found.url, found.kit = url, kit
        yield found


@pytest.mark.parametrize("how", ANSWERS)
async def test_a_session_that_the_server_has_lost(how):
    async with fronted() as front:
        status, body, _ = ANSWERS[how]
        for number in range(2, 6):
            front.forget(status, body)
            assert await call(front.kit, "add", a=1) == 3  # it is read-only, so that it is repeated
            assert front.started == number
        assert front.calls == ["add"] * 4


@pytest.mark.parametrize("how", ANSWERS)
async def test_the_status_and_the_words_of_a_server_that_is_down(how):
    async with fronted() as front:
        status, body, words = ANSWERS[how]
        front.forget(status, body)
        front.down = True
        told = f"It answered with HTTP status {status}" + (f": {words}." if words else ".")
        for _ in range(2):
            with pytest.raises(ConnectionError) as caught:
                await call(front.kit, "add", a=1)
            assert str(caught.value).startswith("The MCP server 'mine' refuses: ")
            assert told in str(caught.value)
            assert "The next call tries the server again." in str(caught.value)
        front.down = False
        assert await call(front.kit, "add", a=1) == 3


async def test_a_call_that_was_refused_is_made_again_and_one_that_failed_is_not():
    async with fronted() as front:
        front.forget(400, ANSWERS["TypeScript example"][1])
        assert await call(front.kit, "say", text="hello") == "said: hello"
        front.forget(500, b"down")
        with pytest.raises(ConnectionError) as caught:
            await call(front.kit, "say", text="hello")
        assert str(caught.value) == (
            "The MCP server 'mine' has lost this session. It answered with HTTP status 500: down.\n"
            "This was during the call of 'say', which may have been carried out or not. "
            "The next call tries the server again."
        )
        assert await call(front.kit, "say", text="you") == "said: you"
        assert front.calls == ["say", "say"]


async def test_many_calls_on_a_lost_session_make_one_new_one():
    async with fronted() as front:
        front.forget(400, ANSWERS["TypeScript example"][1])
        said = await asyncio.gather(*(call(front.kit, "say", text=str(n)) for n in range(20)))
        assert said == [f"said: {n}" for n in range(20)]
        assert front.started == 2
        assert front.calls == ["say"] * 20


async def test_a_server_that_is_busy_keeps_the_session():
    async with fronted() as front:
        front.status, front.body, front.down = 429, b"Come again", True
        for _ in range(3):
            with pytest.raises(MCPToolError, match=r"^The server answered with HTTP status 429: Come again\.$"):
                await call(front.kit, "add", a=1)
        front.down = False
        assert await call(front.kit, "add", a=1) == 3
        assert front.started == 1


async def test_a_call_under_way_ends_on_the_old_session():
    async with fronted() as front:
        waiting = asyncio.create_task(call(front.kit, "started"))
        while "started" not in front.calls:
            await asyncio.sleep(0.001)
        front.forget(404)
        hanging = asyncio.create_task(call(front.kit, "hang"))  # which the other one waits for
        assert await waiting is True
        assert front.started == 2
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging


async def test_an_answer_that_breaks_off():
    async with fronted() as front:
        front.cut = True
        assert await call(front.kit, "add", a=1) == 3
        front.cut = True
        with pytest.raises(ConnectionError, match=r"broke off its answer: .*\n.* may have been carried out or not\."):
            await call(front.kit, "say", text="hello")
        assert await call(front.kit, "say", text="hello") == "said: hello"
        assert front.calls == ["add", "add", "say", "say"]
        assert front.started == 1  # the session is as good as before


async def test_a_server_that_does_not_answer_the_question_whether_it_is_there(monkeypatch):
    async with fronted() as front:
        monkeypatch.setattr(session, "PROBE_PATIENCE", 0.05)
        front.forget(404)
        front.hold.clear()
        try:
            assert await call(front.kit, "add", a=1) == 3
        finally:
            front.hold.set()


async def test_the_pauses_between_attempts_grow(monkeypatch):
    async with fronted() as front:
        monkeypatch.setattr(connection, "FIRST_PAUSE", 10.0)
        front.forget(401, b"no")
        front.down = True
        pauses, last = [], 0.0
        for _ in range(6):
            with pytest.raises(ConnectionError) as caught:
                await call(front.kit, "add", a=1)
            error, tried = str(caught.value), front.started
            with pytest.raises(ConnectionError) as caught:  # in the pause nothing is tried
                await call(front.kit, "add", a=1)
            pauses.append(error.rpartition("\n")[2])
            if front.started != tried:
                pauses.append(str(caught.value).rpartition("\n")[2])
            front.kit._connection._not_before = last
        assert pauses == ["The next call tries the server again."] + [
            f"A call after {seconds} s tries the server again." for seconds in (10, 20, 40, 60, 60, 60)
        ]
        front.down = False
        assert await call(front.kit, "add", a=1) == 3
        front.forget(401, b"no")
        assert await call(front.kit, "add", a=1) == 3  # all is forgotten


async def test_a_short_pause_is_waited_for(monkeypatch):
    async with fronted() as front:
        monkeypatch.setattr(connection, "FIRST_PAUSE", 0.01)
        front.forget(404)
        front.down = True
        for _ in range(3):
            with pytest.raises(ConnectionError, match="The next call tries the server again"):
                await call(front.kit, "add", a=1)
        tried = front.started
        front.down = False
        assert await asyncio.gather(*(call(front.kit, "add", a=n) for n in range(5))) == [2, 3, 4, 5, 6]
        assert front.started == tried + 1


async def test_a_call_that_is_cancelled_while_the_server_is_connected_to_again():
    async with fronted() as front:
        front.hold.clear()
        front.forget(404)
        first = asyncio.create_task(call(front.kit, "add", a=1))
        second = asyncio.create_task(call(front.kit, "add", a=2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        front.hold.set()
        assert await second == 4
        assert front.started == 2


async def test_closing_while_the_server_is_waited_for(monkeypatch):
    async with fronted() as front:
        monkeypatch.setattr(connection, "FIRST_PAUSE", 4.0)
        async with MCPTools(url=front.url, name="other") as kit:
            front.forget(404)
            front.down = True
            for _ in range(2):
                with pytest.raises(ConnectionError):
                    await call(kit, "add", a=1)
            waiting = asyncio.create_task(call(kit, "add", a=1))
            while kit._connection._session.over.is_set():
                await asyncio.sleep(0)
        with pytest.raises(ConnectionError, match=r"^The connection to the MCP server 'other' was closed\.$"):
            await waiting


async def test_tools_are_listed_anew_with_the_new_session():
    server, front = make(), Front()
    async with over_http(server, front.wrap) as url, MCPTools(url=url) as kit:
        server.add_tool(lambda: "new", name="new")  # and nobody is told
        front.forget(404)
        await call(kit, "add", a=1)
        assert await call(kit, "new") == "new"
