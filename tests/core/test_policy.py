from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tinyagent import Allow, Ask, Call, ConfigurationError, Context, Deny, Tool
from tinyagent.policies import allow_only, ask_before, first_of, read_only


def tool_of(name, **options):
    def function() -> None:
        """Do it."""

    return Tool(function, name=name, **options)


async def said(policy, name, **options):
    return await policy(tool_of(name, **options), Call(name), Context())


async def test_read_only_denies_what_is_not_marked_and_says_why():
    assert await said(read_only, "look", read_only=True) is None
    assert await said(read_only, "pay") == Deny("Only tools that change nothing may be called, and pay may.")


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("pay", True),
        ("delete_user", True),
        ("delete_", True),
        ("undelete_user", False),
        ("Pay", False),
        ("paying", False),
    ],
)
async def test_ask_before_asks_about_these_tools(name, asks):
    assert await said(ask_before("delete_*", "pay"), name) == (Ask(f"May {name} be called?") if asks else None)


async def test_allow_only_denies_all_others():
    policy = allow_only("search_*", "rea?")
    assert await said(policy, "search_web") is None
    assert await said(policy, "read") is None
    assert await said(policy, "write") == Deny("write may not be called, only search_*, rea?.")


async def test_first_of_says_what_the_first_one_says_that_says_something():
    asked = []

    def policy(name, verdict):
        async def says(tool, call, context):
            asked.append(name)
            return verdict

        return says

    both = first_of(policy("a", None), policy("b", Allow()), policy("c", Deny("no")))
    assert await said(both, "pay") == Allow()
    assert asked == ["a", "b"]
    assert await said(first_of(policy("d", None)), "pay") is None
    assert await said(first_of(first_of(read_only), ask_before("pay")), "pay", read_only=True) == Ask(
        "May pay be called?"
    )
    assert await said(first_of(), "pay") is None


@pytest.mark.parametrize("make", [ask_before, allow_only])
@pytest.mark.parametrize("names", [(), ("",), (["pay"],), (None,), ("pay", 3)])
def test_names_of_tools_are_text(make, names):
    with pytest.raises(ConfigurationError, match=rf"{make.__name__}\(.*\): pass names of tools, such as 'pay'"):
        make(*names)


@pytest.mark.parametrize("wrong", [None, "policy", Allow])
def test_first_of_takes_policies(wrong):
    with pytest.raises(ConfigurationError, match=r"^first_of\(...\): .* is no policy. Pass an async function"):
        first_of(read_only, wrong)


ASKS = """
    import asyncio
    from tinyagent import Call, Context, Tool
    from tinyagent.policies import ask_on_terminal

    def pay(amount: int) -> str:
        "Pay."

    def look() -> str:
        "Look."

    async def main():
        tool = Tool(pay)
        context = Context(agent="till")
        print(await ask_on_terminal(Tool(look, read_only=True), Call("look"), context))
        both = (ask_on_terminal(tool, Call("pay", {"amount": n}), context) for n in (1, 2))
        print(*await asyncio.gather(*both), sep="\\n")

    asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("answers", "verdicts"),
    [
        ("y\nYES\n", ["Allow(arguments=None)"] * 2),
        ("n\n\n", ["Deny(reason='It was not allowed.')"] * 2),
        ("y", ["Allow(arguments=None)", "Deny(reason='It was not allowed.')"]),
        ("too much\n No \n", ["Deny(reason='too much')", "Deny(reason='It was not allowed.')"]),
        ("", ["Deny(reason='It was not allowed.')"] * 2),
    ],
)
def test_a_person_answers_one_question_after_the_other_over_a_pipe(answers, verdicts):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ASKS)],
        input=answers,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert sorted(done.stdout.splitlines()[1:]) == sorted(verdicts)
    assert done.stdout.startswith("None\n")
    assert done.stderr.count("Allow it? [y/N, or why not] ") == 2
    assert 'till wants to call pay({"amount": 1})' in done.stderr


def test_without_any_terminal_calls_are_denied():
    program = textwrap.dedent(ASKS).replace("import asyncio", "import asyncio, sys; sys.stdin = None", 1)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == ["Deny(reason='It was not allowed.')"] * 2


def test_what_the_model_writes_moves_no_cursor():
    program = textwrap.dedent(ASKS).replace('"amount": n', '"amount": "\\x1b[2J\\r"')
    done = subprocess.run(
        [sys.executable, "-c", program], input="", capture_output=True, text=True, timeout=60, check=True
    )
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr
