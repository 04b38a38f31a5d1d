"""Twenty questions to one agent: one after the other, then all at once. One fails, and the others do not mind.

python examples/concurrent_demo.py

Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
import re
import time

from tinyagent import FatalToolError, ReactAgent, RunError, RunResult, tool
from tinyagent.testing import ScriptedRequest, call, model_or_script

SHELVES = range(1, 21)


@tool
async def count(shelf: int) -> int:
    """How many books there are on a shelf."""
    await asyncio.sleep(0.02)  # as long as a service would take
    if shelf == 13:
        raise FatalToolError("shelf 13 has collapsed")  # ends the run; other errors are told to the model
    return 20 + shelf * 37 % 23


def offline(request: ScriptedRequest):
    """The scripted model has the books counted, then says the number."""
    last = request.messages[-1]["content"]
    return call("count", shelf=int(re.findall(r"\d+", last)[0])) if last.startswith("How") else f"{last} books."


async def main() -> None:
    async with model_or_script(offline, delay=0.02) as model, ReactAgent(tools=[count], model=model) as agent:

        async def ask(shelf: int) -> RunResult[str]:
            return await agent.run(f"How many books are on shelf {shelf}?")

        began = time.perf_counter()
        for shelf in SHELVES:
            try:
                await ask(shelf)
            except RunError as error:
                print(f"One by one, the loop has to catch: {error}.")
        one_by_one = time.perf_counter() - began

        # An agent keeps no state, so that one agent does for any number of runs at the same time. With
        # return_exceptions=True a failure is a value like the others, in its place, and nothing else is cancelled.
        began = time.perf_counter()
        answers = await asyncio.gather(*map(ask, SHELVES), return_exceptions=True)
        at_once = time.perf_counter() - began

    for shelf, answer in zip(SHELVES, answers, strict=True):
        match answer:
            case RunResult():
                print(f"  shelf {shelf:2}: {answer}")
            case RunError():  # it holds what the run had until then
                print(f"  shelf {shelf:2}: ✗ {answer} (after {answer.result.usage.total_tokens} tokens)")
            case BaseException():  # a mistake in this program
                raise answer
    good = sum(isinstance(answer, RunResult) for answer in answers)
    print(f"{good} of {len(answers)} answered. One by one: {one_by_one:.2f} s. All at once: {at_once:.2f} s, ", end="")
    print(f"{one_by_one / at_once:.1f} times as fast.")


asyncio.run(main())
