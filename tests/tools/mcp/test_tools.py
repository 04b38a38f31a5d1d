"""What a server offers, asked and answered, over standard input and output and over HTTP."""

import asyncio
import contextlib
import json
import subprocess
import sys

import pytest
from mcp import MCPError

from tests.tools.mcp.support import EVERYTHING, SERVERS, call, legacy, make, over_http, raw, reported
from tinyagent import ConfigurationError
from tinyagent.agents.stubs import stub
from tinyagent.core.jsonable import to_text
from tinyagent.errors import MissingExtraError, ToolArgumentsError
from tinyagent.tools.mcp import MCPMedia, MCPProgress, MCPResult, MCPToolError, MCPTools, session


@contextlib.asynccontextmanager
async def _everything(how, **options):
    """The server of the SDK, in each of the ways in which it can be reached."""
    if how == "stdio":
        async with MCPTools(EVERYTHING, **options) as kit:
            yield kit
        return
    wrap = legacy if how.startswith("legacy") else lambda app: app
    async with over_http(wrap=wrap, json_response=how.endswith("json")) as url, MCPTools(url=url, **options) as kit:
        yield kit


WAYS = pytest.mark.parametrize("how", ["stdio", "http", "http json", "legacy http"])


@WAYS
async def test_everything(how):
    async with _everything(how) as kit:
        tools = {tool.name: tool for tool in kit.tools}
        assert tools["add"].read_only
        assert not tools["say"].read_only
        assert tools["add"].description == "Add two numbers.\n\nArgs:\n    a: The first."
        schema = tools["find_things"].parameters
        assert schema["properties"]["limit"] == {
            "default": 10,
            "description": "How many.",
            "maximum": 50,
            "minimum": 1,
            "type": "integer",
        }
        assert "$defs" not in schema
        assert schema["properties"]["only"]["properties"]["size"]["anyOf"][0]["properties"].keys() == {
            "width",
            "height",
        }

        # arguments are checked and coerced before the server sees them
        assert await call(kit, "add", a="3") == 5
        found = await call(kit, "find_things", only='{"colours": ["red"], "size": {"width": "3"}}', limit=4)
        assert found == {"names": ["red"], "total": 7}
        with pytest.raises(ToolArgumentsError, match=r"only\.colours\.0: Input should be 'red' or 'green'; got 'blue'"):
            await call(kit, "find_things", only={"colours": ["blue"]})
        with pytest.raises(MCPToolError, match="less than or equal to 50"):
            await call(kit, "find_things", only={"colours": []}, limit=51)

        # results of each kind
        assert await call(kit, "say", text="hello") == "said: hello"
        assert await call(kit, "squares", n=4) == [0, 1, 4, 9]
        picture = await call(kit, "picture")
        assert picture == MCPResult((MCPMedia("image/png", picture.media[0].data),))
        assert picture.media[0].data.startswith(b"\x89PNG")
        assert to_text(picture) == "[image/png, 1,008 bytes]"
        both = await call(kit, "both")
        assert (both.structured, both.text) == ({"names": ["x"], "total": 2}, "two")
        assert to_text(both) == 'two\n[image/png, 1,008 bytes]\n{"names":["x"],"total":2}'
        assert to_text(await call(kit, "parts")).splitlines() == [
            "Some text.",
            "[audio/wav, 4 bytes]",
            "the file's text",
            "[file:///a.bin, x/y, 3 bytes]",
            "[file:///b.txt: b.txt, text/plain, the other one]",
        ]
        with pytest.raises(MCPToolError, match=r"^Error executing tool fail: this is why$"):
            await call(kit, "fail", text="this is why")

        # progress
        value, heard = await reported(kit, "slow", seconds=0.03)
        assert value == "done"
        steps = [MCPProgress(step, 3, f"step {step}") for step in (1, 2, 3)]
        assert heard == ([] if how == "http json" else steps)  # there is no stream to send them in

        # a call that is cancelled is cancelled at the server, and the connection is as good as before
        hanging = asyncio.create_task(call(kit, "hang"))
        await call(kit, "started")
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        if how != "http json":  # where the server does not look whether anybody is still there
            async with asyncio.timeout(20):
                while await call(kit, "events") != ["cancelled"]:
                    await asyncio.sleep(0.01)

        # many calls at once
        assert await asyncio.gather(*(call(kit, "add", a=i, b=i) for i in range(50))) == [2 * i for i in range(50)]

        # tools that come and go
        before = kit.tools
        assert await call(kit, "grow", name="my-new.tool") == "grown"
        async with asyncio.timeout(20):
            while kit.tools is before:
                await asyncio.sleep(0.01)
        assert [tool.name for tool in kit.tools] == [*tools, "my_new_tool"]
        assert await call(kit, "my_new_tool") == "I am my-new.tool"
    assert kit.tools == ()


@pytest.mark.parametrize("how", ["stdio", "http"])
async def test_a_call_that_takes_too_long(how):
    async with _everything(how, timeout=1.0) as kit:
        with pytest.raises(TimeoutError, match=r"took longer than 1 s for 'hang' and was told to stop. .*timeout="):
            await call(kit, "hang")
        async with asyncio.timeout(20):
            while await call(kit, "events") != ["cancelled"]:
                await asyncio.sleep(0.01)


async def test_a_code_agent_reads_signatures():
    async with over_http() as url, MCPTools(url=url) as kit:
        tools = {tool.name: tool for tool in kit.tools}
        classes = {}
        assert stub(tools["find_things"], classes).startswith(
            "async def find_things(only: Filter, limit: int = 10) -> Found:"
        )
        assert sorted(classes.values()) == [
            "class Filter:\n    colours: list[Literal['red', 'green']]\n    size: Size | None",
            "class Found:\n    names: list[str]\n    total: int",
            "class Size:\n    width: int\n    height: int",
        ]
        assert stub(tools["squares"]).startswith("async def squares(n: int) -> list[int]:")
        assert stub(tools["say"]).startswith("async def say(text: str, title: str = 'said'):")


async def test_odd_names():
    async with raw() as kit:
        assert [tool.name for tool in kit.tools] == ["find_things_v2_2", "find_things_v2", "find_things_v2_3", "repeat"]
        odd = kit.tools[0]
        assert odd.parameters == {
            "type": "object",
            "properties": {
                "max_results": {"type": "integer", "minimum": 1, "default": 10, "description": "How many."},
                "class_": {"type": "string"},
                "from_": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "self": {"type": "number"},
                "context": {"anyOf": [{"type": "string", "enum": ["a", "b"]}, {"type": "null"}]},
                "query": {"type": "string"},
            },
            "required": ["query", "class_"],
        }
        assert stub(odd).startswith(
            "async def find_things_v2_2(class_: str, query: str, max_results: int = 10, from_: str | None = None, "
            "self: int | float | None = None, context: Literal['a', 'b', None] = None):"
        )
        given = {"class_": "c", "query": "q", "max_results": "3", "from_": None, "self": 3, "context": "b"}
        assert json.loads(await call(kit, odd.name, **given)) == {
            "name": "find-things.v2",
            "arguments": {"max-results": 3, "class": "c", "from": None, "self": 3, "context": "b", "query": "q"},
        }
        # what has no value is left out, unless the server takes a null
        assert await call(kit, odd.name, class_="c", query="q", self=None, max_results=None) == (
            '{"name": "find-things.v2", "arguments": {"class": "c", "query": "q"}}'
        )
        with pytest.raises(ToolArgumentsError, match="max-results: unknown argument; did you mean 'max_results'"):
            await call(kit, odd.name, **given, **{"max-results": 3})
        with pytest.raises(ToolArgumentsError, match="unknown argument"):
            await call(kit, "find_things_v2", anything=1)
        answer = await call(kit, "find_things_v2_3", anything=1, **{"any-thing": [2]})
        assert answer == '{"name": "find/things/v2", "arguments": {"anything": 1, "any-thing": [2]}}'


async def test_some_of_the_tools():
    async with raw(include=["find-things.v2", "find/things/v2"], exclude={"find/things/v2"}) as kit:
        assert [tool.name for tool in kit.tools] == ["find_things_v2"]
    with pytest.raises(ConfigurationError, match=r"include=\['nothing'\].*it has: find-things.v2, find_things_v2"):
        await raw(include=["nothing"]).__aenter__()


async def test_tools_that_need_tasks_are_not_offered():
    async with raw("tasks") as kit:
        assert [tool.name for tool in kit.tools][-2:] == ["repeat", "no_tasks"]
    with pytest.raises(ConfigurationError, match=r"These need MCP tasks, which are not supported: tasks\.$"):
        await raw("tasks", include=["tasks"]).__aenter__()


async def test_prefixed():
    kit = raw(include=["find_things_v2"]).prefixed("their")
    async with kit:
        assert [tool.name for tool in kit.tools] == ["their_find_things_v2"]


async def test_a_list_that_changes():
    async with raw() as kit:
        tools = kit.tools
        assert await call(kit, "find_things_v2_3", do="add") == "changed"
        assert [tool.name for tool in kit.tools] == [*(tool.name for tool in tools), "late"]  # when the call returns
        changed = kit.tools
        await call(kit, "find_things_v2_3", do="add")
        assert kit.tools is changed  # it has not
        await call(kit, "find_things_v2_3", do="break")
        assert kit.tools is changed  # there is no newer one
        assert await call(kit, "late") == '{"name": "late", "arguments": {}}'


async def test_a_subscription_that_breaks_off(monkeypatch):
    monkeypatch.setattr(session, "SUBSCRIBE_AGAIN", 0.01)
    cut, subscriptions = asyncio.Event(), []

    def wrap(app):
        async def cutting(scope, receive, send):
            if dict(scope["headers"]).get(b"mcp-method") != b"subscriptions/listen" or cut.is_set():
                await app(scope, receive, send)
                return
            subscriptions.append(scope)
            answer = asyncio.create_task(app(scope, receive, send))
            await cut.wait()
            answer.cancel()
            await asyncio.wait([answer])

        return cutting

    server = make()
    async with over_http(server, wrap) as url, MCPTools(url=url) as kit:
        assert len(subscriptions) == 1
        before = kit.tools
        server.add_tool(lambda: "new", name="new")  # and nobody is told
        cut.set()
        async with asyncio.timeout(20):
            while kit.tools is before:
                await asyncio.sleep(0.01)
        assert await call(kit, "new") == "new"
        assert await call(kit, "grow", name="newer") == "grown"
        async with asyncio.timeout(20):
            while len(kit.tools) == len(before) + 1:
                await asyncio.sleep(0.01)


async def test_a_server_that_takes_no_subscriptions():
    async def refuse(context, call_next):
        if context.method == "subscriptions/listen":
            raise MCPError(-32601, "Method not found")
        return await call_next(context)

    async with over_http(make(middleware=[refuse])) as url, MCPTools(url=url) as kit:
        assert await call(kit, "add", a=1) == 3


async def test_a_server_without_tools():
    async with raw("toolless") as kit:
        assert kit.tools == ()
        assert repr(kit) == f"MCPTools({kit.name}: no tools)"
    assert repr(kit) == f"MCPTools({kit.name}: not open)"


async def test_odd_answers():
    async with raw() as kit:
        ask = "find_things_v2_3"
        with pytest.raises(MCPToolError, match=r"^I do not want to$"):
            await call(kit, ask, do="refuse")
        with pytest.raises(MCPToolError, match="The server's answer is no result of a tool"):
            await call(kit, ask, do="nonsense")
        with pytest.raises(MCPToolError, match="did not say why"):
            await call(kit, ask, do="error")
        assert await call(kit, ask, do="base64") == "[image/png: the server's data is not valid base64]"
        assert await call(kit, ask, do="ask") == "written"
        assert json.loads(await call(kit, ask, do="notes")) == [
            "notifications/initialized",
            "Elicitation not supported",
        ]
        assert await call(kit, ask, do="log") == "written"
        assert await call(kit, ask) == '{"name": "find/things/v2", "arguments": {}}'


async def test_the_environment_of_a_server(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    async with raw(env={"MY_SETTING": "set"}, cwd=tmp_path) as kit:
        environment = json.loads(await call(kit, "repeat", do="environment"))
    assert environment["MY_SETTING"] == "set"
    assert environment["cwd"] == str(tmp_path)
    assert "PATH" in environment
    assert "OPENAI_API_KEY" not in environment


async def test_headers():
    seen = []

    def wrap(app):
        async def look(scope, receive, send):
            seen.append(dict(scope["headers"]).get(b"authorization"))
            await app(scope, receive, send)

        return look

    async with over_http(wrap=wrap) as url, MCPTools(url=url, headers={"Authorization": "Bearer me"}) as kit:
        assert await call(kit, "add", a=1) == 3
        assert kit.name == url.split("/")[2]
    assert seen
    assert set(seen) == {b"Bearer me"}


async def test_a_key_that_is_refused():
    async def refuse(scope, receive, send):
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with over_http(wrap=lambda app: refuse) as url:
        with pytest.raises(ConnectionError, match=r"refuses: .* It answered with HTTP status 401"):
            await MCPTools(url=url).__aenter__()


async def test_it_is_opened_once_for_all_its_users():
    kit = raw()

    async def use(_):
        async with kit:
            return await call(kit, "repeat", do="pid")

    assert len(set(await asyncio.gather(*map(use, range(5))))) == 1
    first = await use(0)
    assert first != await use(0)  # it has ended between


async def test_not_open():
    async with raw() as kit:
        tool = kit.tools[1]
    with pytest.raises(RuntimeError, match="not open: pass the MCPTools to an agent"):
        await tool.run({})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "a command that starts the server, or its url: pass one, such as command='npx -y some-server'"),
        ({"command": "x", "url": "http://x"}, "pass one of them, not both"),
        ({"url": "http://x", "args": ["y"]}, "args=.* is for a server with a command"),
        ({"url": "http://x", "env": {"A": "b"}}, "env=.* is for a server with a command"),
        ({"url": "http://x", "cwd": "/"}, "cwd=.* is for a server with a command"),
        ({"command": "x", "headers": {"a": "b"}}, "headers=.* is for a server with a url"),
        ({"command": ""}, "pass a command line"),
        ({"command": []}, "pass a command line"),
        ({"command": "an 'open quote"}, "No closing quotation"),
        ({"command": "x", "args": "y"}, "args='y'.*pass a list"),
        ({"url": "ftp://x"}, "pass an http or https URL"),
        ({"url": "localhost:8000"}, "pass an http or https URL"),
        ({"command": "x", "timeout": 0}, "timeout=0.*above 0"),
        ({"command": "x", "start_timeout": None}, "start_timeout=None.*above 0"),
        ({"command": "x", "timeout": True}, "timeout=True.*above 0"),
        ({"command": "x", "include": "add"}, "include='add'.*pass a list"),
        ({"command": "x", "exclude": "add"}, "exclude='add'.*pass a list"),
    ],
)
def test_wrong_options(options, text):
    with pytest.raises(ConfigurationError, match=text):
        MCPTools(**options)


async def test_a_command_line():
    line = f"'{sys.executable}' '{SERVERS / 'raw.py'}'"
    async with MCPTools(line, include=["find_things_v2"]) as kit:
        assert await call(kit, "find_things_v2") == '{"name": "find_things_v2", "arguments": {}}'
    async with MCPTools(sys.executable, args=[SERVERS / "raw.py"], timeout=None, name="mine") as kit:
        assert repr(kit) == "MCPTools(mine: find_things_v2_2, find_things_v2, find_things_v2_3, repeat)"
        assert kit.tools[1].source == "MCP server mine.find_things_v2"


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tinyagent\[mcp\]'"):
        MCPTools("x")


def test_importing_it_does_not_import_the_sdk():
    code = """
import sys
from tinyagent.tools.mcp import MCPTools

MCPTools("x")
print({name.partition(".")[0] for name in sys.modules} & {"mcp", "mcp_types", "httpx", "httpx2", "pydantic"})
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
