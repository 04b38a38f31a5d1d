"""Tools of an MCP server, which is started with the agent and ends with it: calls, progress, errors.

python examples/mcp_demo.py         needs: pip install '.[mcp]'

Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
import sys

from tinyagent import MCPTools, ReactAgent, ToolFinished, ToolStarted, printable
from tinyagent.events import ToolProgress
from tinyagent.testing import ScriptedRequest, call, model_or_script


def serve() -> None:
    """The MCP server: any program that speaks the protocol over standard input and output would do."""
    from mcp.server.mcpserver import Context, MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    server = MCPServer("warehouse", log_level="ERROR")
    stock = {"lamps": 12, "chairs": 3}

    @server.tool()
    def in_stock(item: str) -> int:
        """How many pieces of an item there are."""
        return stock[item]

    @server.tool()
    async def pack(item: str, pieces: int, context: Context) -> dict[str, int]:
        """Pack pieces of an item for shipping; says what was packed and what is left."""
        if pieces > stock[item]:
            raise ToolError(f"there are only {stock[item]} {item}")
        for box in range(pieces):
            await asyncio.sleep(0.1)
            await context.report_progress(box + 1, pieces, f"packed a box of {item}")
        stock[item] -= pieces
        return {"packed": pieces, "left": stock[item]}

    server.run()


def offline(request: ScriptedRequest):
    """What the scripted model says: it asks for too much first, and is told."""
    results = [message["content"] for message in request.messages if message["role"] == "tool"]
    if not results:
        return [call("in_stock", item="lamps"), call("pack", item="chairs", pieces=5)]
    if len(results) == 2:
        return call("pack", item="chairs", pieces=3)
    return f"There are {results[0]} lamps. Of the chairs only 3 could be packed."


async def main() -> None:
    # A server elsewhere: MCPTools(url="https://example.com/mcp", headers={"Authorization": "Bearer ..."})
    warehouse = MCPTools([sys.executable, __file__, "serve"], timeout=10)
    async with model_or_script(offline) as model:
        agent = ReactAgent(tools=[warehouse], model=model)
        async with agent.stream("How many lamps are there? And pack five chairs, or what there is.") as run:
            async for event in run:
                match event:
                    case ToolStarted(started):
                        print(f"→ {started.name}({started.arguments})")
                    case ToolProgress(_, value):
                        print(printable(f"  … {value}"))
                    case ToolFinished(seen):
                        print(printable(f"← {seen.call.name}: {seen.text}"))  # a terminal obeys some texts
        print(run.result.output)


if sys.argv[1:] == ["serve"]:
    serve()
else:
    asyncio.run(main())
