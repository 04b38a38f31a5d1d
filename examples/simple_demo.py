"""The smallest agent: two tools, one question.

python examples/simple_demo.py

Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio

from tinyagent import ReactAgent, tool
from tinyagent.testing import call, model_or_script


@tool
def multiply(a: float, b: float) -> float:
    """Multiply two numbers."""
    return a * b


@tool
def divide(a: float, b: float) -> float:
    """Divide a by b."""
    return a / b


# What the scripted model says: a call, a call that uses its result, the answer.
OFFLINE = [call("multiply", a=12, b=7), call("divide", a=84, b=4), "12 × 7 ÷ 4 is 21."]


async def main() -> None:
    async with model_or_script(OFFLINE) as model:
        agent = ReactAgent(tools=[multiply, divide], model=model)
        result = await agent.run("What is 12 times 7, divided by 4? Use the tools.")
    print(result)
    for step in result.steps:
        for seen in step.observations:
            print(f"  step {step.number}: {seen.call.name}({seen.call.raw}) = {seen.text}")


asyncio.run(main())
