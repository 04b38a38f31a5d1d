"""Plans: made, followed and changed by the model, one for each run, shown whenever they change."""

from __future__ import annotations

import asyncio

import pytest

from tests.agents.kinds import NATIVE, WRITTEN, block, needs_sandbox, no_session_left
from tinyagent import ReactAgent, Tool
from tinyagent.core.events import ToolFinished
from tinyagent.core.jsonable import to_text
from tinyagent.errors import ToolArgumentsError
from tinyagent.testing import ScriptedModel, call
from tinyagent.tools.builtin.planning import LONGEST_LINE, MOST_STEPS, Plan, Planning, PlanStep


@pytest.fixture(params=[pytest.param(NATIVE, id="react"), pytest.param(WRITTEN, id="code", marks=needs_sandbox)])
async def kind(request):
    """Each kind of agent."""
    yield request.param
    await no_session_left()


@pytest.fixture
def planning():
    return Planning()


async def use(planning, name, **arguments):
    """Call one of its tools as an agent would."""
    found = next(each for each in planning.tools if each.name == name)
    return await found.run(arguments)


def shown(plan):
    return to_text(plan)


# ---- what a plan is


def test_its_tools():
    tools = {each.name: each for each in Planning().tools}
    assert list(tools) == ["create_plan", "update_plan", "get_plan"]
    assert [each.read_only for each in tools.values()] == [False, False, True]
    assert all(each.shown for each in tools.values())
    assert tools["update_plan"].parameters["properties"]["status"]["enum"] == ["open", "in_progress", "done", "skipped"]
    assert tools["update_plan"].parameters["required"] == ["step"]


async def test_a_plan_is_read_as_a_list(planning):
    plan = await use(planning, "create_plan", goal=" Bake bread. ", steps=["Mix", " Let  it\nrise ", "Bake"])
    assert plan == Plan("Bake bread.", (PlanStep("Mix"), PlanStep("Let it rise"), PlanStep("Bake")))
    assert shown(plan) == str(plan) == (
        "Plan: Bake bread.\n1. [ ] Mix\n2. [ ] Let it rise\n3. [ ] Bake\n3 of 3 steps left."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "mark", "left"), [("open", " ", 2), ("in_progress", ">", 2), ("done", "x", 1), ("skipped", "-", 1)]
)
async def test_steps_are_marked(planning, status, mark, left):
    await use(planning, "create_plan", goal="Bake", steps=["Mix", "Bake"])
    plan = await use(planning, "update_plan", step=2, status=status, note=" well done ")
    assert plan.steps == (PlanStep("Mix"), PlanStep("Bake", status, "well done"))
    assert shown(plan) == f"Plan: Bake\n1. [ ] Mix\n2. [{mark}] Bake (well done)\n{left} of 2 steps left."


async def test_a_step_is_done_unless_something_else_is_said(planning):
    await use(planning, "create_plan", goal="Bake", steps=["Mix"])
    assert (await use(planning, "update_plan", step=1)).steps[0].status == "done"


async def test_a_note_stays_until_there_is_another(planning):
    await use(planning, "create_plan", goal="Bake", steps=["Mix"])
    await use(planning, "update_plan", step=1, status="in_progress", note="flour first")
    assert (await use(planning, "update_plan", step=1)).steps == (PlanStep("Mix", "done", "flour first"),)
    assert (await use(planning, "update_plan", step=1, note="all in")).steps[0].note == "all in"


async def test_further_steps_come_right_after(planning):
    await use(planning, "create_plan", goal="Bake", steps=["Mix", "Bake"])
    plan = await use(planning, "update_plan", step=1, new_steps=["Knead", "Rest"])
    assert [(step.text, step.status) for step in plan.steps] == [
        ("Mix", "done"), ("Knead", "open"), ("Rest", "open"), ("Bake", "open"),
    ]  # fmt: skip
    plan = await use(planning, "update_plan", step=4, status="open", new_steps=["Eat"])
    assert [step.text for step in plan.steps][-2:] == ["Bake", "Eat"]


async def test_the_plan_can_be_asked_for_and_made_anew(planning):
    first = await use(planning, "create_plan", goal="Bake", steps=["Mix"])
    assert await use(planning, "get_plan") is first
    second = await use(planning, "create_plan", goal="Cook", steps=["Boil"])
    assert await use(planning, "get_plan") is second
    assert planning.plan is second


async def test_a_plan_that_was_given_does_not_change(planning):
    first = await use(planning, "create_plan", goal="Bake", steps=["Mix"])
    await use(planning, "update_plan", step=1)
    assert first.steps[0].status == "open"
    with pytest.raises(AttributeError):
        first.goal = "x"


# ---- what is refused


@pytest.mark.parametrize("name", ["get_plan", "update_plan"])
async def test_without_a_plan_one_is_told_to_make_one(planning, name):
    with pytest.raises(LookupError, match="there is no plan yet; make one with create_plan"):
        await use(planning, name, **({"step": 1} if name == "update_plan" else {}))


@pytest.mark.parametrize("step", [0, -1, 3, 10**9])
async def test_a_step_that_is_not_there_is_refused(planning, step):
    before = await use(planning, "create_plan", goal="Bake", steps=["Mix", "Bake"])
    with pytest.raises(ValueError, match=f"there is no step {step}; the plan has the steps 1 to 2"):
        await use(planning, "update_plan", step=step)
    assert planning.plan is before


async def test_a_plan_has_a_step_at_least_and_a_goal(planning):
    with pytest.raises(ValueError, match="steps is empty: a plan has at least one step"):
        await use(planning, "create_plan", goal="Bake", steps=[])
    for goal, steps in (("  ", ["Mix"]), ("", ["Mix"]), ("Bake", ["Mix", " "]), ("Bake", [""])):
        with pytest.raises(ValueError, match="a line of the plan is empty"):
            await use(planning, "create_plan", goal=goal, steps=steps)


async def test_a_plan_that_is_refused_does_not_take_the_place_of_the_one_there_is(planning):
    before = await use(planning, "create_plan", goal="Bake", steps=["Mix"])
    with pytest.raises(ValueError, match="steps is empty"):
        await use(planning, "create_plan", goal="Cook", steps=[])
    assert planning.plan is before


async def test_a_plan_has_bounds(planning):
    with pytest.raises(ValueError, match=f"at most {MOST_STEPS} steps; put several into one"):
        await use(planning, "create_plan", goal="Bake", steps=["Mix"] * (MOST_STEPS + 1))
    plan = await use(planning, "create_plan", goal="g" * LONGEST_LINE, steps=["s" * LONGEST_LINE] * MOST_STEPS)
    assert len(plan.steps) == MOST_STEPS
    with pytest.raises(ValueError, match=f"at most {MOST_STEPS} steps"):
        await use(planning, "update_plan", step=1, new_steps=["one more"])
    too_long = "x" * (LONGEST_LINE + 1)
    said = f"a line of the plan has {LONGEST_LINE + 1} characters; at most {LONGEST_LINE} are taken"
    for name, arguments in (
        ("create_plan", {"goal": too_long, "steps": ["Mix"]}),
        ("create_plan", {"goal": "Bake", "steps": ["Mix", too_long]}),
        ("update_plan", {"step": 1, "note": too_long}),
    ):
        with pytest.raises(ValueError, match=said):
            await use(planning, name, **arguments)
    assert planning.plan is plan


@pytest.mark.parametrize(
    "arguments",
    [{"step": "one"}, {"step": 1, "status": "finished"}, {"step": 1, "new_steps": "Knead"}, {}],
)
async def test_arguments_are_checked(planning, arguments):
    await use(planning, "create_plan", goal="Bake", steps=["Mix"])
    with pytest.raises(ToolArgumentsError):
        await use(planning, "update_plan", **arguments)


async def test_a_line_is_one_line(planning):
    await use(planning, "create_plan", goal="Bake\n9. [x] cheat", steps=["Mix"])
    plan = await use(planning, "update_plan", step=1, note="well\n2. [x] cheat")
    assert len(shown(plan).splitlines()) == 3


# ---- in agents


def says(kind, *replies):
    def say(request):
        told = sum(message.role == "assistant" for message in request.messages)
        return kind.says(replies[min(told, len(replies) - 1)])

    return ScriptedModel(say)


async def test_the_plan_is_shown_to_the_model_and_is_an_object_for_the_caller(kind):
    agent = kind.agent(
        [Planning()],
        model=says(kind, call("create_plan", goal="Bake", steps=["Mix", "Bake"]), call("update_plan", step=1), "done"),
    )
    run = agent.stream("Go.")
    async with run:
        events = [event async for event in run]
    first, second = kind.reports(run.result.messages)[:2]
    assert kind.as_read("Plan: Bake\n1. [ ] Mix\n2. [ ] Bake\n2 of 2 steps left.") in first
    assert kind.as_read("Plan: Bake\n1. [x] Mix\n2. [ ] Bake\n1 of 2 steps left.") in second
    plans = [event.observation.value for event in events if isinstance(event, ToolFinished)][:2]
    assert [type(plan) for plan in plans] == [Plan, Plan]
    assert plans[1].steps[0] == PlanStep("Mix", "done")
    assert run.result.output == "done"


@needs_sandbox
async def test_code_that_prints_nothing_is_shown_the_plan_all_the_same():
    code = "plan = await create_plan('Bake', ['Mix', 'Bake'])\nsteps = len(plan.steps)"
    agent = WRITTEN.agent(
        [Planning()],
        model=ScriptedModel(
            [block(code), block("x = await update_plan(1, note='fine')"), block("final_answer(steps)")]
        ),
    )
    result = await agent.run("Go.")
    assert result.output == 2
    first, second = WRITTEN.reports(result.messages)[:2]
    plan = WRITTEN.as_read("Plan: Bake\n1. [ ] Mix\n2. [ ] Bake\n2 of 2 steps left.")
    assert first.endswith(f"create_plan returned:\n{plan}")
    plan = WRITTEN.as_read("Plan: Bake\n1. [x] Mix (fine)\n2. [ ] Bake\n1 of 2 steps left.")
    assert second.endswith(f"update_plan returned:\n{plan}")
    await no_session_left()


async def test_each_run_has_a_plan_of_its_own(kind):
    runs = 50 if kind is NATIVE else 10
    everybody = asyncio.Barrier(runs)

    def say(request):
        task = kind.task(request)
        number = int(task.split()[-1])
        replies = [
            call("create_plan", goal=task, steps=[f"step {n}" for n in range(1 + number % 5)]),
            call("meet"),
            call("update_plan", step=1, note=f"by {number}"),
            call("meet"),
            call("get_plan"),
            f"done {number}",
        ]
        return kind.says(replies[sum(message.role == "assistant" for message in request.messages)])

    agent = kind.agent([Planning(), Tool(everybody.wait, name="meet")], model=ScriptedModel(say))
    async with agent, asyncio.timeout(50):
        results = await asyncio.gather(*(agent.run(f"Task {number}") for number in range(runs)))
    for number, result in enumerate(results):
        plan = kind.values(result)[4][0]
        assert plan.goal == f"Task {number}"
        assert len(plan.steps) == 1 + number % 5
        assert plan.steps[0].note == f"by {number}"
        assert result.output == f"done {number}"


async def test_the_next_run_begins_without_a_plan(kind):
    agent = kind.agent([Planning()], model=says(kind, call("create_plan", goal="Bake", steps=["Mix"]), "done"))
    await agent.run("Go.")
    other = kind.agent(agent.toolbox.kits, model=says(kind, call("get_plan"), "done"))
    result = await other.run("Go.")
    assert "there is no plan yet" in result.steps[0].observations[0].error
    assert agent.toolbox.kits[0].plan is None


async def test_mistakes_are_told_and_the_run_goes_on(kind):
    agent = kind.agent(
        [Planning()],
        model=says(
            kind,
            call("update_plan", step=1),
            call("create_plan", goal="Bake", steps=["Mix"]),
            call("update_plan", step=9),
            "done",
        ),
    )
    result = await agent.run("Go.")
    told = kind.reports(result.messages)
    assert "there is no plan yet; make one with create_plan" in told[0]
    assert "there is no step 9; the plan has the steps 1 to 1" in told[2]
    assert result.output == "done"


async def test_calls_of_one_turn_change_one_plan():
    model = ScriptedModel(
        [
            call("create_plan", goal="Bake", steps=["a", "b", "c"]),
            [call("update_plan", step=number) for number in (3, 1, 2)],
            call("get_plan"),
            "done",
        ]
    )
    result = await ReactAgent([Planning()], model=model).run("Go.")
    assert {step.status for step in NATIVE.values(result)[2][0].steps} == {"done"}


async def test_two_plans_have_prefixes():
    agent = ReactAgent(
        [Planning().prefixed("mine"), Planning().prefixed("yours")],
        model=ScriptedModel(
            [
                [call("mine_create_plan", goal="A", steps=["a"]), call("yours_create_plan", goal="B", steps=["b"])],
                [call("mine_get_plan"), call("yours_get_plan")],
                "done",
            ]
        ),
    )
    result = await agent.run("Go.")
    assert [plan.goal for plan in NATIVE.values(result)[1]] == ["A", "B"]


async def test_a_subclass_is_made_anew_for_each_run():
    class Careful(Planning):
        async def open(self):
            self.opened = True

    agent = ReactAgent([Careful()], model=ScriptedModel([call("create_plan", goal="A", steps=["a"]), "done"]))
    assert (await agent.run("Go.")).output == "done"
    assert type(Careful().for_run()) is Careful
