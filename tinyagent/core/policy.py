"""Policies: whether a call may be made. And what a person decides of a call that waits."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tinyagent.core.errors import ConfigurationError
from tinyagent.core.jsonable import brief, to_data
from tinyagent.core.text import one_line

if TYPE_CHECKING:
    from tinyagent.core.context import Context
    from tinyagent.core.messages import Call
    from tinyagent.core.tool import Tool


@dataclass(frozen=True, slots=True)
class Allow:
    """The call may be made.

    Attributes:
        arguments: All arguments of the call, in place of those that the model wrote; the model is told. `None` leaves
            the call as it is.

    Raises:
        ConfigurationError: The arguments are no dict of values by name.
    """

    arguments: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        given: object = self.arguments
        if given is None or (isinstance(given, Mapping) and all(isinstance(name, str) for name in given)):
            return
        raise ConfigurationError(f"Allow({brief(given)}): pass all arguments of the call, as a dict of values by name.")


@dataclass(frozen=True, slots=True)
class Deny:
    """The call is not made. The model is told why; in code the call raises a `PermissionError`.

    Raises:
        ConfigurationError: The reason is no text.
    """

    reason: str = "It was not allowed."

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str):
            raise ConfigurationError(f"Deny({brief(self.reason)}): pass the reason, as text for the model.")


@dataclass(frozen=True, slots=True)
class Return:
    """The call is answered with this value, and the tool is not called: a decision, never a policy's verdict."""

    value: Any


@dataclass(frozen=True, slots=True)
class Ask:
    """The call waits until a person has decided, and the run is paused: a policy's verdict, never a decision.

    Attributes:
        prompt: What the person is asked.

    Raises:
        ConfigurationError: The prompt is no text.
    """

    prompt: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, str):
            raise ConfigurationError(f"Ask({brief(self.prompt)}): pass the question, as text for the person.")


@dataclass(frozen=True, slots=True)
class Pending:
    """A call of a paused run that waits for a decision: `agent.resume(run_id, {pending.id: Allow()})`.

    Attributes:
        id: The call's name within the store; `Context.key` of the call begins like it.
        tool: The name of the tool.
        arguments: The arguments of the call.
        prompt: What the policy asks, or why the call waits.
        agent: The name of the agent whose tool it is.
        wants: `decision`: `Allow()`, `Deny(reason)` or `Return(value)`. `value`: `Return(value)` or `Deny(reason)`,
            since the call may have been made already.
    """

    id: str
    tool: str
    arguments: Mapping[str, Any]
    prompt: str = ""
    agent: str = ""
    wants: Literal["decision", "value"] = "decision"


class Paused(BaseException):
    """Calls wait for a person. It passes through tools and middleware, which catch an `Exception` at most.

    Attributes:
        pending: The calls.
    """

    def __init__(self, pending: Iterable[Pending]) -> None:
        self.pending = tuple(pending)


def pending_in(error: BaseException) -> tuple[Pending, ...]:
    """Return the calls that wait according to an error, a `Paused` or a task group's group of them; else nothing."""
    if isinstance(error, BaseExceptionGroup):
        return tuple(each for part in error.exceptions for each in pending_in(part))
    return error.pending if isinstance(error, Paused) else ()


#: What a policy says of a call; `None` leaves the call to other policies, and to the tool's own `needs_approval`.
Verdict: TypeAlias = Allow | Deny | Ask | None
#: Says whether a call may be made: an async function of the tool, the call and the run's context.
Policy: TypeAlias = "Callable[[Tool[..., Any], Call, Context[Any]], Awaitable[Verdict]]"
#: What a person decides of a call that waits.
Decision: TypeAlias = Allow | Deny | Return


async def read_only(tool: Tool[..., Any], call: Call, context: Context[Any]) -> Verdict:  # noqa: ARG001
    """Deny every tool that is not marked `read_only=True`: a policy."""
    return None if tool.read_only else Deny(f"Only tools that change nothing may be called, and {tool.name} may.")


def ask_before(*names: str) -> Policy:
    """Return a policy that asks a person before calls of these tools.

    Args:
        *names: Names of tools; `*` and `?` stand for any characters, as in `delete_*`.

    Raises:
        ConfigurationError: A name is no text, or there is none.
    """
    patterns = _checked(ask_before, names)

    async def policy(tool: Tool[..., Any], call: Call, context: Context[Any]) -> Verdict:  # noqa: ARG001
        return Ask(f"May {tool.name} be called?") if _among(tool.name, patterns) else None

    return policy


def allow_only(*names: str) -> Policy:
    """Return a policy that denies every tool but these.

    Args:
        *names: Names of tools; `*` and `?` stand for any characters, as in `search_*`.

    Raises:
        ConfigurationError: A name is no text, or there is none.
    """
    patterns = _checked(allow_only, names)

    async def policy(tool: Tool[..., Any], call: Call, context: Context[Any]) -> Verdict:  # noqa: ARG001
        if _among(tool.name, patterns):
            return None
        return Deny(f"{tool.name} may not be called, only {', '.join(patterns)}.")

    return policy


def first_of(*policies: Policy) -> Policy:
    """Return a policy that asks these in order, and says what the first of them says that says something.

    Raises:
        ConfigurationError: One of them is no policy.
    """
    for each in policies:
        check_policy("first_of(...)", each)

    async def policy(tool: Tool[..., Any], call: Call, context: Context[Any]) -> Verdict:
        for each in policies:
            if (verdict := await each(tool, call, context)) is not None:
                return verdict
        return None

    return policy


async def ask_on_terminal(tool: Tool[..., Any], call: Call, context: Context[Any]) -> Verdict:
    """Ask whoever sits at the terminal before each call of a tool that is not `read_only`: a policy that waits.

    The question goes to standard error, the answer is a line of standard input; without one the call is denied.
    """
    if tool.read_only:
        return None
    who = f"{context.agent} wants to call " if context.agent else ""
    return await ask_whether(who + in_words(tool.name, call.arguments)) or Deny()


async def ask_whether(what: str) -> Allow | Deny | None:
    """Ask whoever sits at the terminal whether something may be done; return `None` where nobody answers.

    Args:
        what: What may be done; it is shown in one line.
    """
    from tinyagent.core.question import ask

    said = await ask(f"{one_line(what)}\nAllow it? [y/N, or why not] ")
    if said is None:
        return None
    if said.lower() in ("y", "yes"):
        return Allow()
    return Deny() if said.lower() in ("", "n", "no") else Deny(said)


def in_words(tool: str, arguments: Mapping[str, Any]) -> str:
    """Return a call as a person can judge it: the arguments that the tool gets, all of them, in one line of JSON."""
    return f"{tool}({json.dumps(to_data(arguments), ensure_ascii=False)})"


def check_policy(where: str, policy: object) -> None:
    """Refuse what cannot be called as a policy; `where` says where it was passed.

    Raises:
        ConfigurationError: The object is no policy.
    """
    if isinstance(policy, type) or not callable(policy):
        raise ConfigurationError(
            f"{where}: {brief(policy)} is no policy. Pass an async function of tool, call and context that returns "
            "Allow(), Deny('why'), Ask('...') or None, such as ask_before('delete_*')."
        )


def _checked(function: Callable[..., Any], names: tuple[Any, ...]) -> tuple[str, ...]:
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigurationError(
            f"{function.__name__}({', '.join(map(brief, names))}): pass names of tools, such as 'pay' or 'delete_*'."
        )
    return names


def _among(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
