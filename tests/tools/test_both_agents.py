"""A tool of each kind in both kinds of agent: what it gives is what the caller finds and the model reads."""

from __future__ import annotations

import contextlib

import pytest

from tests.agents.kinds import NATIVE, WRITTEN, needs_sandbox, no_session_left
from tests.tools.builtin.search_server import PAGES, SearchServer
from tests.tools.mcp.support import EVERYTHING, over_http
from tests.tools.servers import Raw
from tinyagent import Call, JinaReader, MCPTools, Planning, ReactAgent, Toolkit, WebBrowser, WebSearch, tool
from tinyagent.testing.scripted import ScriptedModel
from tinyagent.tools import Plan
from tinyagent.tools.http import fetch

HTML = b"<title>Oslo</title><main><h1>Oslo</h1><p>A city of <b>Norway</b> by the sea.</p></main>"


async def page(connection):
    """A page of a city."""
    return await connection.reply(HTML, "Content-Type: text/html")


@contextlib.asynccontextmanager
async def web_browse():
    """A browser that may read one server on this machine."""
    async with Raw(page) as server:
        yield (
            WebBrowser(allow=[f"127.0.0.1:{server.port}"]),
            Call("web_browse", {"url": server.url}),
            "A city of **Norway**",
        )


@contextlib.asynccontextmanager
async def fetched():
    """A tool of one's own over the guarded client."""
    async with Raw(page) as server:

        @tool
        async def size(url: str) -> int:
            """The size of a page in bytes."""
            return len((await fetch(url, allow=["127.0.0.1"])).content)

        yield size, Call("size", {"url": server.url}), str(len(HTML))


@contextlib.asynccontextmanager
async def web_search():
    """A search of a pretended Tavily."""
    async with SearchServer() as server:
        yield WebSearch("tavily", url=server.url), Call("web_search", {"query": "oslo"}), PAGES[0].url


@contextlib.asynccontextmanager
async def jina_reader():
    """A reader of a pretended Jina."""
    async with SearchServer() as server:
        call = Call("jina_reader", {"url": PAGES[0].url})
        yield JinaReader(url=server.url), call, PAGES[0].url


@contextlib.asynccontextmanager
async def planning():
    """A plan."""
    yield Planning(), Call("create_plan", {"goal": "See Oslo", "steps": ["Go", "Look"]}), "See Oslo"


@contextlib.asynccontextmanager
async def mcp_stdio():
    """A tool of an MCP server in a process of its own."""
    yield MCPTools(EVERYTHING), Call("say", {"text": "Oslo"}), "Oslo"


@contextlib.asynccontextmanager
async def mcp_http():
    """A tool of an MCP server over HTTP."""
    async with over_http() as url:
        yield MCPTools(url=url), Call("say", {"text": "Oslo"}), "Oslo"


@contextlib.asynccontextmanager
async def toolkit():
    """A toolkit that is open while the run goes on."""

    class Cities(Toolkit):
        async def open(self):
            self.cities = ["Oslo"]

        @tool
        def cities_of(self, country: str) -> list[str]:
            """Cities of a country."""
            return self.cities

    yield Cities().prefixed("my"), Call("my_cities_of", {"country": "Norway"}), "Oslo"


@contextlib.asynccontextmanager
async def agent():
    """Another agent."""
    expert = ReactAgent(model=ScriptedModel(["Oslo, of course."]), name="expert", description="Knows cities.")
    yield expert, Call("expert", {"task": "Which city?"}), "Oslo, of course."


MAKERS = [web_browse, fetched, web_search, jina_reader, planning, mcp_stdio, mcp_http, toolkit, agent]


@pytest.fixture(params=[pytest.param(NATIVE, id="react"), pytest.param(WRITTEN, id="code", marks=needs_sandbox)])
async def kind(request):
    """Each kind of agent; no process of a session is left."""
    yield request.param
    await no_session_left()


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
async def test_it_works(kind, maker):
    async with maker() as (item, call, shown):
        model = ScriptedModel(kind.script([call, "Done."]))
        result = await kind.agent([item], model=model).run("Tell me of Oslo.")
    seen = result.steps[0].observations[0]
    assert (result.output, seen.error) == ("Done.", None)
    assert shown in seen.text
    assert shown in kind.reports(result.messages)[0]


async def test_a_plan_is_shown_to_the_model_whenever_it_changes(kind):
    made = Call("create_plan", {"goal": "See Oslo", "steps": ["Go", "Look"]})
    model = ScriptedModel(kind.script([made, Call("update_plan", {"step": 1, "note": "by train"}), "Done."]))
    result = await kind.agent([Planning()], model=model).run("Go.")
    assert all(isinstance(step.observations[0].value, Plan) for step in result.steps[:2])
    first, second = kind.reports(result.messages)[:2]
    assert kind.as_read("1. [ ] Go\n2. [ ] Look\n2 of 2 steps left.") in first
    assert kind.as_read("1. [x] Go (by train)\n2. [ ] Look\n1 of 2 steps left.") in second


@needs_sandbox
async def test_a_plan_is_shown_although_the_code_does_not_print_it():
    code = "```python\nplan = await create_plan('See Oslo', ['Go', 'Look'])\nawait update_plan(1)\nprint('x')\n```"
    model = ScriptedModel([code, "```python\nfinal_answer(1)\n```"])
    result = await WRITTEN.agent([Planning()], model=model).run("Go.")
    report = WRITTEN.reports(result.messages)[0]
    assert report.startswith("Output:\n    x")
    assert WRITTEN.as_read("Plan: See Oslo\n1. [x] Go\n2. [ ] Look\n1 of 2 steps left.") in report
    await no_session_left()
