from __future__ import annotations

import bench_tools

from .base import API_KEY, MODEL, SYSTEM, Adapter


class TinyAgent(Adapter):
    name = "tinyagent"
    kind = "own"
    requires = ("tinyagent",)
    dists = ("tinyagent", "openai")
    imports = "from tinyagent import ReactAgent"
    http = "httpx"
    note = "one shared agent; AsyncOpenAI over its own httpx"

    def open(self, base_url: str) -> None:
        from tinyagent import OpenAIModel

        self.model = OpenAIModel(MODEL, base_url=base_url, api_key=API_KEY, max_retries=self.retries, http=self.http)
        self.held = None

    async def close(self) -> None:
        if self.held is not None:
            await self.held.__aexit__(None, None, None)

    def agent(self):
        from tinyagent import Limits, ReactAgent

        return ReactAgent(bench_tools.ASYNC_TOOLS, model=self.model, instructions=SYSTEM, limits=Limits(steps=None))

    async def hold(self) -> None:
        """Keep connections between runs, as every other adapter does with its one client."""
        if self.held is None:
            self.held = self.model
            await self.model.__aenter__()

    async def run(self, agent, prompt):
        await self.hold()
        return (await agent.run(prompt)).output

    async def run_stream(self, agent, prompt):
        await self.hold()
        async with agent.stream(prompt) as run:
            async for _ in run:
                pass
        return run.result.output


class TinyAgentFast(TinyAgent):
    name = "tinyagent-fast"
    http = "aiohttp"
    requires = ("tinyagent", "aiohttp")
    dists = ("aiohttp",)
    note = "the same with the extra [fast]: the SDK's aiohttp transport"
