"""Several steps, sync and async tools side by side, streamed.

python examples/react_demo.py

Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
import time

from tinyagent import Context, ReactAgent, TextDelta, TextVoided, ToolFinished, ToolStarted, tool
from tinyagent.events import ToolProgress
from tinyagent.testing import ScriptedRequest, call, model_or_script

POPULATION = {"norway": 5_600_000, "italy": 58_900_000}
AREA = {"norway": 385_207, "italy": 302_073}


@tool(timeout=5)
async def population(country: str, context: Context) -> int:
    """How many people live in a country.

    Args:
        country: Name in English.
    """
    context.progress(f"asking for {country}")  # listeners see it at once; the model does not
    await asyncio.sleep(0.3)  # an async tool waits on the event loop
    return POPULATION[country.lower()]


@tool(retries=1)
def area(country: str) -> int:
    """The area of a country in square kilometres.

    Args:
        country: Name in English.
    """
    time.sleep(0.3)  # a sync tool may block: it runs in a thread
    return AREA[country.lower()]


def offline(request: ScriptedRequest):
    """What the scripted model says: all four look-ups at once, then the answer from their results."""
    results = [int(message["content"]) for message in request.messages if message["role"] == "tool"]
    if not results:
        countries = ("Norway", "Italy")
        return [call("population", country=c) for c in countries] + [call("area", country=c) for c in countries]
    norway, italy = results[0] / results[2], results[1] / results[3]
    return f"Italy is more crowded: {italy:.0f} people per km² against {norway:.0f} in Norway."


async def main() -> None:
    async with model_or_script(offline, delay=0.01) as model:
        agent = ReactAgent(tools=[population, area], model=model, instructions="Use the tools for every fact.")
        began = time.perf_counter()
        async with agent.stream("Which is more crowded, Norway or Italy?") as run:
            async for event in run:
                match event:
                    case TextDelta(text):
                        print(text, end="", flush=True)
                    case TextVoided():  # the reply failed; it comes again
                        print("\n↶ once more:")
                    case ToolStarted(started):
                        print(f"→ {started.name}({started.arguments})")
                    case ToolProgress(_, value):
                        print(f"  … {value}")
                    case ToolFinished(seen):
                        print(f"← {seen.call.name}: {seen.text} ({seen.seconds:.2f} s)")
    result = run.result
    print(f"\n{len(result.steps)} steps, {result.usage.total_tokens} tokens, {time.perf_counter() - began:.2f} s")


asyncio.run(main())
