"""A server made with the official SDK: `python everything.py` over stdio, `python everything.py PORT` over HTTP."""

import asyncio
import os
import sys
from typing import Annotated, Literal

from mcp.server.mcpserver import Audio, Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)
from pydantic import BaseModel, Field

PNG = b"\x89PNG\r\n\x1a\n" + bytes(1_000)


class Size(BaseModel):
    width: int
    height: int = 1


class Filter(BaseModel):
    colours: list[Literal["red", "green"]]
    size: Size | None = None


class Found(BaseModel):
    names: list[str]
    total: int


def make(**options) -> MCPServer:  # noqa: C901 - a tool of every kind
    """A server with a tool of every kind."""
    server = MCPServer("everything", log_level="CRITICAL", **options)
    seen: list[str] = []
    running = asyncio.Event()

    @server.tool(annotations=ToolAnnotations(read_only_hint=True))
    def add(a: int, b: int = 2) -> int:
        """Add two numbers.

        Args:
            a: The first.
        """
        return a + b

    @server.tool(name="find-things")
    def find(only: Filter, limit: Annotated[int, Field(ge=1, le=50, description="How many.")] = 10) -> Found:
        size = only.size.width * only.size.height if only.size else 0
        return Found(names=only.colours, total=limit + size)

    @server.tool(structured_output=False)
    def say(text: str, title: str = "said") -> str:
        return f"{title}: {text}"

    @server.tool()
    def squares(n: int) -> list[int]:
        return [i * i for i in range(n)]

    @server.tool()
    def picture() -> Image:
        return Image(data=PNG, format="png")

    @server.tool(structured_output=False)
    def parts() -> list:
        return [
            "Some text.",
            Audio(data=b"1234", format="wav"),
            EmbeddedResource(resource=TextResourceContents(uri="file:///a.txt", text="the file's text")),
            EmbeddedResource(resource=BlobResourceContents(uri="file:///a.bin", blob="AAAA", mime_type="x/y")),
            ResourceLink(name="b.txt", uri="file:///b.txt", description="the other one", mime_type="text/plain"),
        ]

    @server.tool()
    def both() -> Annotated[CallToolResult, Found]:
        image = Image(data=PNG, format="png").to_image_content()
        text = TextContent(text="two")
        return CallToolResult(content=[text, image], structured_content={"names": ["x"], "total": 2})

    @server.tool(structured_output=False)
    def photo() -> CallToolResult:
        image = Image(data=PNG, format="png").to_image_content()
        return CallToolResult(content=[image], structured_content={"content": [image.model_dump(by_alias=True)]})

    @server.tool()
    def fail(text: str) -> str:
        raise ToolError(text)

    @server.tool(structured_output=False)
    async def slow(seconds: float, ctx: Context) -> str:
        """Wait, and tell how far it is."""
        for step in range(1, 4):
            await asyncio.sleep(seconds / 3)
            await ctx.report_progress(step, 3, f"step {step}")
        return "done"

    @server.tool()
    async def hang() -> None:
        running.set()
        try:
            await asyncio.sleep(1_000)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    @server.tool()
    async def events() -> list[str]:
        """What happened to calls of hang."""
        return seen

    @server.tool()
    async def started() -> bool:
        """Answers once hang has been called."""
        await running.wait()
        running.clear()
        return True

    @server.tool()
    async def grow(name: str, ctx: Context) -> str:
        """Have one more tool."""

        def more() -> str:
            return f"I am {name}"

        server.add_tool(more, name=name)
        await ctx.notify_tools_changed()
        await ctx.session.send_tool_list_changed()
        return "grown"

    @server.tool()
    def pid() -> int:
        return os.getpid()

    @server.tool()
    def die(words: str = "") -> None:
        print(words, file=sys.stderr, flush=True)
        os._exit(1)

    return server


if __name__ == "__main__":
    if len(sys.argv) > 1:
        make().run("streamable-http", port=int(sys.argv[1]))
    else:
        make().run()
