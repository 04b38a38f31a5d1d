"""Instructions in all their forms: text, templates, functions, files."""

from __future__ import annotations

import asyncio
import functools
import os
from dataclasses import dataclass
from pathlib import Path
from string import Template

import pytest

from tests.agents.kinds import NATIVE
from tinyagent import ConfigurationError, Context, ModelError, ReactAgent, RunError, Toolkit, tool
from tinyagent.agents.prompt import SUFFIXES, Prompt
from tinyagent.testing import ScriptedModel, call


def model(kind):
    return ScriptedModel(lambda request: kind.says("ok"))


def first(agent, number=-1):
    """What the model was told first in a request."""
    message = agent.model.requests[number].messages[0]
    return message.text if message.role == "system" else None


async def told(kind, instructions, task="Go.", **options):
    """What the model is told first in a run, of the instructions."""
    agent = kind.agent(model=model(kind), instructions=instructions)
    await agent.run(task, **options)
    return first(agent)


# ---- text

ODD = [
    "Answer as {name}: {{x}} {} {0} {a.b!r:>10}.",
    "It costs $5, $name, ${name} and $$.",
    "100 % of %s and %(name)s.",
    "\\n \\1 \\ backslashes",
    "ünï – 漢字 🙂",
    "line\nline\n\n  indented\n",
    "<rules>&amp;</rules>",
    'quotes " and \' and """ and ```',
]


@pytest.mark.parametrize("text", ODD)
async def test_text_is_taken_as_it_is(kind, text):
    assert (await told(kind, text, metadata={"name": "N"}, deps={"name": "D"})).endswith(text)


@pytest.mark.parametrize("text", ODD)
async def test_text_of_a_file_and_of_a_function_is_taken_as_it_is(kind, text, tmp_path):
    path = tmp_path / "prompt.md"
    path.write_bytes(text.encode())
    agent = kind.agent(model=model(kind), prompt_file=path)
    await agent.run("Go.", metadata={"name": "N"})
    assert first(agent).endswith(text)
    assert (await told(kind, lambda: text, metadata={"name": "N"})).endswith(text)


async def test_without_instructions_nothing_is_said_first():
    agent = ReactAgent(model=model(NATIVE))
    await agent.run("Go.")
    assert first(agent) is None
    assert agent.instructions == ""


@pytest.mark.parametrize("instructions", [None, 7, b"Be brief.", ["Be brief."], str, dict, Template])
def test_instructions_of_another_type_are_refused_with_what_to_pass(kind, instructions):
    with pytest.raises(ConfigurationError, match=r"instructions=.*: pass text, a string\.Template, or a function"):
        kind.agent(model=model(kind), instructions=instructions)


# ---- templates


@dataclass
class Deps:
    city: str = "Oslo"
    name: str = "of deps"


async def test_placeholders_are_metadata_or_keys_or_attributes_of_deps(kind):
    template = Template("You are ${name} of $city. {braces} $$5 $name_2.")
    assert (await told(kind, template, metadata={"name": "Ann", "city": "Rome", "name_2": 2})).endswith(
        "You are Ann of Rome. {braces} $5 2."
    )
    assert (await told(kind, template, deps={"name": "Ben", "city": "Paris", "name_2": None})).endswith(
        "You are Ben of Paris. {braces} $5 None."
    )
    assert (await told(kind, template, deps=Deps(), metadata={"name": "Cleo", "name_2": 3})).endswith(
        "You are Cleo of Oslo. {braces} $5 3."
    )


@pytest.mark.parametrize("options", [{}, {"deps": {"x": 1}}, {"deps": Deps()}, {"metadata": {"x": 1}, "deps": 7}])
async def test_a_placeholder_without_a_value_is_refused_with_what_to_pass(kind, options):
    agent = kind.agent(model=model(kind), instructions=Template("You are $who."))
    with pytest.raises(
        ConfigurationError, match=r"placeholder \$who, which has no value\..*metadata=\{'who': \.\.\.\}, or deps="
    ):
        await agent.run("Go.", **options)
    assert agent.model.requests == []


@pytest.mark.parametrize("text", ["It costs $5.", "A $ alone", "$", "${name", "${a b}"])
def test_a_template_with_a_stray_dollar_is_refused_at_once(kind, text):
    with pytest.raises(ConfigurationError, match=r"'\$' that begins no placeholder\. Write '\$\$'"):
        kind.agent(model=model(kind), instructions=Template(text))


async def test_templates_of_another_delimiter_work(kind):
    class Percent(Template):
        delimiter = "%"

    assert (await told(kind, Percent("You are %name, $5 {x}."), metadata={"name": "Ann"})).endswith(
        "You are Ann, $5 {x}."
    )


async def test_a_template_without_placeholders_is_text(kind):
    assert (await told(kind, Template("Be brief. $$"))).endswith("Be brief. $")


async def test_values_are_not_filled_in_again(kind):
    assert (await told(kind, Template("$a"), metadata={"a": "$b {c}", "b": "never"})).endswith("$b {c}")


async def test_a_placeholder_whose_value_cannot_be_had_is_named():
    class Broken:
        @property
        def who(self):
            raise OSError("no such database")

    with pytest.raises((ConfigurationError, RunError), match="no such database") as caught:
        await told(NATIVE, Template("$who"), deps=Broken())
    assert not isinstance(caught.value, ModelError)


# ---- functions


async def asynchronous(context: Context) -> str:
    await asyncio.sleep(0)
    return f"You work for {context.deps}."


class Callable:
    def __call__(self, context):
        return f"You work for {context.deps}."

    def method(self, context):
        return f"You work for {context.deps}."

    async def asynchronous(self, context):
        return f"You work for {context.deps}."


@pytest.mark.parametrize(
    "function",
    [
        asynchronous,
        Callable(),
        Callable().method,
        Callable().asynchronous,
        lambda context: f"You work for {context.deps}.",
        lambda anything, /: f"You work for {anything.deps}.",
        lambda *all_of_them: f"You work for {all_of_them[0].deps}.",
        lambda context: asynchronous(context),  # noqa: PLW0108 - no coroutine function itself
        functools.partial(lambda verb, context: f"You {verb} for {context.deps}.", "work"),
        lambda context, *, verb="work", **more: f"You {verb} for {context.deps}.",
    ],
)
async def test_a_function_is_asked_with_the_context_of_the_run(kind, function):
    assert (await told(kind, function, deps="Ann")).endswith("You work for Ann.")


async def later():
    await asyncio.sleep(0)
    return "Be brief."


@pytest.mark.parametrize(
    "function",
    [
        later,
        lambda: later(),  # noqa: PLW0108 - no coroutine function itself
        lambda: "Be brief.",
        lambda *, x=1: "Be brief.",
        lambda **options: "Be brief.",
    ],
)
async def test_a_function_may_want_nothing(kind, function):
    assert (await told(kind, function)).endswith("Be brief.")


async def test_the_context_is_that_of_the_run(kind):
    seen = []

    def instructions(context):
        seen.append((context.run_id, context.agent, context.model, context.metadata, context.step, context.tool))
        return "Be brief."

    agent = kind.agent(model=ScriptedModel(kind.script(["ok"]), name="m"), instructions=instructions, name="worker")
    await agent.run("Go.", run_id="r", metadata={"a": 1})
    assert seen == [("r", "worker", "m", {"a": 1}, 0, "")]


async def test_a_function_is_asked_once_for_each_run_and_runs_do_not_mix(kind):
    asked, everybody = [], asyncio.Barrier(10)

    async def instructions(context):
        asked.append(context.deps)
        await everybody.wait()
        return f"You work for {context.deps}."

    def say(request):
        boss = request.messages[0].text.rpartition("for ")[2]
        return kind.says(f"{kind.task(request)} {boss}")

    agent = kind.agent(model=ScriptedModel(say), instructions=instructions)
    async with asyncio.timeout(30):
        results = await asyncio.gather(*(agent.run(f"T{n}", deps=n) for n in range(10)))
    assert [result.output for result in results] == [f"T{n} {n}." for n in range(10)]
    assert sorted(asked) == list(range(10))


async def test_what_a_function_says_stays_the_same_in_all_steps_of_a_run(kind):
    said = iter(["one", "two"])
    agent = kind.agent(
        [tick],
        model=ScriptedModel(lambda request: kind.says("ok" if kind.told(request) else call("tick"))),
        instructions=lambda: f"Version {next(said)}.",
    )
    await agent.run("Go.")
    await agent.run("Go.")
    versions = [request.messages[0].text.rpartition(" ")[2] for request in agent.model.requests]
    assert versions == ["one.", "one.", "two.", "two."]


def tick() -> str:
    """Tick."""
    return "tock"


async def test_new_instructions_take_the_place_of_those_of_an_earlier_run(kind):
    said = iter(["one", "two"])
    agent = kind.agent(model=model(kind), instructions=lambda: f"Version {next(said)}.")
    before = await agent.run("Go.")
    after = await agent.run("And now?", messages=before.messages)
    assert [message.text.rpartition(" ")[2] for message in after.messages if message.role == "system"] == ["two."]
    assert [message.role for message in after.messages] == ["system", "user", "assistant", "user", "assistant"]


async def test_a_function_may_say_nothing():
    assert await told(NATIVE, lambda: "") is None


@pytest.mark.parametrize("said", [None, 7, b"Be brief.", ["Be brief."]])
async def test_a_function_that_returns_no_text_ends_the_run(kind, said):
    def instructions():
        return said

    agent = kind.agent(model=model(kind), instructions=instructions)
    with pytest.raises(
        ConfigurationError, match=rf"instructions=.*instructions returned {type(said).__name__}; it must return text"
    ):
        await agent.run("Go.")


@pytest.mark.parametrize("kind_of", ["sync", "async"])
async def test_a_function_that_fails_ends_the_run(kind, kind_of):
    def sync():
        raise OSError("no such database")

    async def asynchronous():
        raise OSError("no such database")

    agent = kind.agent(model=model(kind), instructions=sync if kind_of == "sync" else asynchronous)
    with pytest.raises(ConfigurationError, match=r"instructions=.*sync.* failed: OSError: no such database") as caught:
        await agent.run("Go.")
    assert isinstance(caught.value.__cause__, OSError)
    assert agent.model.requests == []


async def test_a_run_can_be_cancelled_while_its_instructions_are_made(kind):
    begun, cleaned = asyncio.Event(), []

    async def instructions():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    task = asyncio.create_task(kind.agent(model=model(kind), instructions=instructions).run("Go."))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]


async def test_toolkits_are_open_when_instructions_are_made(kind):
    class Notes(Toolkit):
        rows = None

        async def open(self):
            self.rows = ["a"]

        @tool
        def count(self) -> int:
            """Count."""
            return len(self.rows)

    kit = Notes()
    agent = kind.agent([kit], model=model(kind), instructions=lambda: f"There are {len(kit.rows)} rows.")
    await agent.run("Go.")
    assert first(agent).endswith("There are 1 rows.")


async def test_a_parameter_with_a_default_keeps_it():
    assert await told(NATIVE, lambda name="Ann": f"You are {name}.") == "You are Ann."


# ---- files


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".TXT", ".Md"])
async def test_a_file_of_each_kind_is_read(kind, suffix, tmp_path):
    path = tmp_path / f"my prompt{suffix}"
    path.write_text("Be brief, {name}. <b>$5</b>\n", encoding="utf-8")
    for given in (path, str(path)):
        agent = kind.agent(model=model(kind), prompt_file=given)
        await agent.run("Go.")
        assert first(agent).endswith("Be brief, {name}. <b>$5</b>\n")


def test_a_file_is_read_once_when_the_agent_is_made(tmp_path):
    path = tmp_path / "prompt.md"
    path.write_text("Before.")
    agent = ReactAgent(model=model(NATIVE), prompt_file=path)
    path.unlink()
    assert agent.instructions == "Before."


def test_a_path_may_be_relative(tmp_path, monkeypatch):
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "p.md").write_text("Here.")
    monkeypatch.chdir(tmp_path)
    assert ReactAgent(model=model(NATIVE), prompt_file="prompts/p.md").instructions == "Here."
    assert ReactAgent(model=model(NATIVE), prompt_file=Path("prompts/../prompts/p.md")).instructions == "Here."


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_bytes(b"\xef\xbb\xbfBe brief.\r\nVery.")
    assert Prompt(prompt_file=path).fixed == "Be brief.\nVery."


def test_a_missing_file_is_named_with_where_it_was_looked_for(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        kind.agent(model=model(kind), prompt_file="nowhere/prompt.md")
    assert "prompt_file='nowhere/prompt.md': there is no such file" in str(caught.value)
    assert str(tmp_path / "nowhere" / "prompt.md") in str(caught.value)


@pytest.mark.parametrize("suffix", ["", ".py", ".json", ".md.bak", ".docx"])
def test_a_file_of_another_kind_is_refused_with_those_that_are_read(tmp_path, suffix):
    path = tmp_path / f"prompt{suffix}"
    path.write_text("Be brief.")
    with pytest.raises(ConfigurationError, match=r"pass a file that ends in \.txt, \.md, \.prompt, \.xml") as caught:
        Prompt(prompt_file=path)
    assert str(path) in str(caught.value)


def test_a_directory_is_no_file(tmp_path):
    (tmp_path / "prompt.md").mkdir()
    with pytest.raises(ConfigurationError, match=r"prompt\.md'.*cannot be read: Is a directory"):
        Prompt(prompt_file=tmp_path / "prompt.md")


@pytest.mark.skipif(os.geteuid() == 0, reason="everything can be read by root")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = tmp_path / "prompt.md"
    path.write_text("Be brief.")
    path.chmod(0)
    with pytest.raises(ConfigurationError, match=r"prompt\.md'.*cannot be read: Permission denied"):
        Prompt(prompt_file=path)


@pytest.mark.parametrize("data", ["Größe".encode("latin-1"), "Be brief.".encode("utf-16"), b"Be \xff brief."])
def test_a_file_that_is_not_utf8_is_named_with_what_to_do(tmp_path, data):
    path = tmp_path / "prompt.md"
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=r"prompt\.md'.*not UTF-8 text \(.* at byte \d+\)\. Save it as UTF-8"):
        Prompt(prompt_file=path)


@pytest.mark.parametrize("text", ["", "  \n\t\n", "\ufeff"])
def test_an_empty_file_is_refused(tmp_path, text):
    path = tmp_path / "prompt.md"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"prompt\.md': it is empty"):
        Prompt(prompt_file=path)


@pytest.mark.parametrize("given", [7, b"prompt.md", ["prompt.md"], "", True])
def test_a_prompt_file_is_a_path(given):
    with pytest.raises(ConfigurationError, match="prompt_file="):
        Prompt(prompt_file=given)


def test_a_path_that_cannot_be_one_is_refused():
    with pytest.raises(ConfigurationError, match=r"prompt_file='x+\.md'.*cannot be read: File name too long"):
        Prompt(prompt_file="x" * 5_000 + ".md")


def test_a_path_with_a_null_byte_is_refused():
    with pytest.raises(ConfigurationError, match="prompt_file="):
        Prompt(prompt_file="a\0.md")


@pytest.mark.parametrize("instructions", ["Be brief.", Template("Be brief."), lambda: "Be brief."])
def test_instructions_and_a_file_are_not_both_taken(kind, tmp_path, instructions):
    path = tmp_path / "prompt.md"
    path.write_text("Be brief.")
    with pytest.raises(ConfigurationError, match="Pass instructions= or prompt_file=, not both"):
        kind.agent(model=model(kind), instructions=instructions, prompt_file=path)


# ---- in handoffs, and in runs inside


async def test_templates_and_files_work_after_a_handoff(kind, tmp_path):
    path = tmp_path / "prompt.md"
    path.write_text("From {a} file.")
    filed = ReactAgent(model=model(NATIVE), name="filed", prompt_file=path)
    templated = ReactAgent(model=model(NATIVE), name="templated", instructions=Template("You serve $user."))
    for target, expected in ((filed, "From {a} file."), (templated, "You serve Ann.")):
        start = kind.agent(
            model=ScriptedModel(kind.script([call(f"transfer_to_{target.name}")])),
            instructions=Template("First for $user."),
            handoffs=[filed, templated],
        )
        result = await start.run("Go.", metadata={"user": "Ann"})
        assert first(start).endswith("First for Ann.")
        assert first(target) == expected
        assert [message.text for message in result.messages if message.role == "system"] == [expected]


async def test_a_placeholder_of_the_other_without_a_value_ends_the_run(kind):
    target = ReactAgent(model=model(NATIVE), name="second", instructions=Template("You serve $user."))
    agent = kind.agent(model=ScriptedModel(kind.script([call("transfer_to_second")])), handoffs=[target])
    with pytest.raises(ConfigurationError, match=r"\$user"):
        await agent.run("Go.")


async def test_placeholders_inside_are_those_of_the_outer_run(kind):
    inner = ReactAgent(
        model=model(NATIVE), name="helper", description="Helps.", instructions=Template("You serve $user in $city.")
    )
    agent = kind.agent([inner], model=ScriptedModel(kind.script([call("helper", task="t"), "ok"])))
    await agent.run("Go.", metadata={"user": "Ann"}, deps=Deps())
    assert first(inner) == "You serve Ann in Oslo."


async def test_a_missing_value_inside_is_told_to_the_outer_model(kind):
    inner = ReactAgent(
        model=model(NATIVE), name="helper", description="Helps.", instructions=Template("You serve $user.")
    )
    agent = kind.agent([inner], model=ScriptedModel(kind.script([call("helper", task="t"), "ok"])))
    result = await agent.run("Go.")
    assert result.output == "ok"
    assert "placeholder $user" in result.steps[0].observations[0].error


def test_an_empty_path_is_shown_as_it_was_given():
    with pytest.raises(ConfigurationError, match=r"^prompt_file='': pass a path\.$"):
        ReactAgent(model="m", prompt_file="")
