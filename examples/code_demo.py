"""A code agent: it writes Python that calls async tools, sees an error, repairs it, and answers with an object.

python examples/code_demo.py

Runs offline against a scripted server; with OPENAI_API_KEY or OPENAI_BASE_URL set it asks that model.
"""

import asyncio
from dataclasses import dataclass

from tinyagent import StepFinished, TextDelta, TextVoided, TinyCodeAgent, printable, tool
from tinyagent.testing import ScriptedRequest, model_or_script

SALES = {
    "north": [("apples", 120, 0.5), ("pears", 80, 0.75), ("plums", None, 0.25)],
    "south": [("apples", 200, 0.5), ("pears", 40, 0.75), ("plums", 300, 0.25)],
    "west": [("apples", 90, 0.5), ("pears", 110, 0.75), ("plums", 150, 0.25)],
}


@dataclass
class Sale:
    fruit: str
    pieces: int | None  # some shops forget to count
    price: float


@tool
async def sales(region: str) -> list[Sale]:
    """Yesterday's sales of a region.

    Args:
        region: north, south or west.
    """
    await asyncio.sleep(0.3)  # as long as a database would take
    return [Sale(*row) for row in SALES[region]]


# What the scripted model writes. The first block asks all regions at once and trips over a missing number.
FIRST = """\
I fetch all regions at the same time and add up what each fruit brought in.

```python
regions = ["north", "south", "west"]
found = await asyncio.gather(*[sales(region) for region in regions])
income = {}
for region, rows in zip(regions, found):
    for sale in rows:
        income.setdefault(sale.fruit, {})[region] = sale.pieces * sale.price
```"""
REPAIRED = """\
A number is missing. The data is still there, so I only repeat the sum, and count missing numbers as zero.

```python
income = {}
for region, rows in zip(regions, found):
    for sale in rows:
        income.setdefault(sale.fruit, {})[region] = (sale.pieces or 0) * sale.price

print(f"{'':8}" + "".join(f"{region:>9}" for region in regions) + f"{'total':>9}")
for fruit, by_region in income.items():
    cells = "".join(f"{by_region[region]:9.2f}" for region in regions)
    print(f"{fruit:8}{cells}{sum(by_region.values()):9.2f}")
```"""
ANSWER = """\
```python
totals = {fruit: sum(by_region.values()) for fruit, by_region in income.items()}
final_answer({"best": max(totals, key=totals.get), "totals": totals})
```"""


def offline(request: ScriptedRequest):
    reports = [message["content"] for message in request.messages if message["role"] == "user"][1:]
    if not reports:
        return FIRST
    return REPAIRED if "TypeError" in reports[-1] else ANSWER


async def main() -> None:
    async with model_or_script(offline, delay=0.005) as model:
        agent = TinyCodeAgent(tools=[sales], model=model)
        async with agent.stream("Which fruit brought in the most yesterday? Show a table, then answer.") as run:
            async for event in run:
                match event:
                    case TextDelta(text):
                        print(printable(text), end="", flush=True)
                    case TextVoided():  # the reply failed; it comes again
                        print("\n↶ once more:")
                    case StepFinished(step):  # the code is whole; what it did while it was written goes below it
                        print()
                        for ran in step.executions:
                            for seen in ran.calls:
                                if seen.call.name == "sales":
                                    print(f"  ← sales({seen.call.arguments['region']}): {seen.seconds:.2f} s")
                            print(printable(ran.stdout), end="")
                            print(
                                f"  ✗ {printable(str(ran.error))}\n" if ran.error else f"  ran in {ran.seconds:.2f} s\n"
                            )
    answer = run.result.output
    if isinstance(answer, dict):  # the very object the code handed over; a model of your own may answer otherwise
        print(f"Best: {answer['best']}, {answer['totals'][answer['best']]:.2f} in all")
    else:
        print(printable(str(answer)))


asyncio.run(main())
