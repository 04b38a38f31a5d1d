"""A real llama.cpp server streams tool calls, and no stale connection is felt. Run by `make real` alone.

llama.cpp promises to keep a connection and closes it right after each streamed reply.
"""

import time

import pytest

from tinyagent import Limits, Notice, OpenAIModel, ReactAgent, Retry, StepFinished

STEPS = 40


async def flip(heads: bool) -> str:
    """Flip a coin."""
    return "heads" if heads else "tails"


class Counted:
    """A model that notes how long each of its calls takes."""

    def __init__(self, model):
        self.model, self.name, self.seconds = model, model.name, []

    async def __aenter__(self):
        return await self.model.__aenter__()

    async def __aexit__(self, *about):
        await self.model.__aexit__(*about)

    async def __call__(self, request, sink):
        began = time.perf_counter()
        try:
            return await self.model(request, sink)
        finally:
            self.seconds.append(time.perf_counter() - began)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "plain"])
@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
async def test_tool_calls_are_streamed_without_a_stale_connection_being_felt(tiny, http, streamed):
    model = Counted(OpenAIModel("tiny", base_url=tiny, http=http, max_retries=0, max_tokens=80))
    agent = ReactAgent([flip], model=model, limits=Limits(steps=None))
    steps, calls, runs, news = 0, 0, 0, []
    began = time.perf_counter()
    while steps < STEPS:
        runs += 1
        async with agent.stream("Flip a coin again and again.") as run:
            run.state.streamed = streamed
            async for event in run:
                news += [event] * isinstance(event, Retry | Notice)
                if isinstance(event, StepFinished):
                    steps, calls = steps + 1, calls + len(event.step.message.calls)
                    if steps == STEPS:
                        break
    seconds = sorted(model.seconds)
    print(
        f"\n{http} {'streamed' if streamed else 'plain'}: {steps} steps in {runs} runs, {calls} calls, "
        f"{len(news)} retries, {time.perf_counter() - began:.1f} s; "
        f"a model call {seconds[len(seconds) // 2]:.3f} s (median), {seconds[-1]:.3f} s (longest)"
    )
    assert news == []
    assert calls >= STEPS * 0.6
    assert runs <= STEPS * 0.4
