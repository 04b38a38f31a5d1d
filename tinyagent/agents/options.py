"""The options that every agent has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from inspect import Parameter, Signature, signature
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, get_origin

from tinyagent.agents.middleware import Middleware
from tinyagent.agents.prompt import Instructions
from tinyagent.core.errors import ConfigurationError, UnknownOptionError
from tinyagent.core.generics import Deps
from tinyagent.core.jsonable import brief
from tinyagent.core.limits import Limits
from tinyagent.core.policy import Policy, check_policy
from tinyagent.core.store import Store
from tinyagent.core.tool import NAME_PATTERN
from tinyagent.models.base import Model
from tinyagent.models.openai import ModelSettings, OpenAIModel

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from tinyagent.agents.agent import Agent

#: Characters of an observation that the model reads; the result keeps it whole.
MAX_OBSERVATION = 20_000


class AgentOptions(TypedDict, Generic[Deps], total=False):
    """Options of an agent.

    Attributes:
        client: An `AsyncOpenAI` of your own, when `model` is a name.
        instructions: What the model is told first: text; a `string.Template`, whose `$name` is `metadata["name"]`
            of the run or the key or attribute `name` of its `deps`; or a function of the run's `Context`, or of
            nothing, that returns text, also async.
        prompt_file: A file with the instructions (.txt, .md, .prompt, .xml; UTF-8), in place of `instructions`.
        deps_type: The class of what runs pass as `deps=`, such as `Settings` or `dict[str, str]`: a type checker checks
            them, and so does each run. Without one `deps=` may be anything.
        limits: What one run may spend: `Limits(steps=10, tokens=None, seconds=None)`.
        name: The agent's name in records, and as a tool of another agent.
        description: What the agent is good for; told to agents that may call it or hand over to it.
        handoffs: Agents that a run can be handed over to, or a function that returns them. Each is a tool
            `transfer_to_<name>`.
        policy: Says of each call whether it may be made, waits for a person, or is denied: an async function of the
            tool, the call and the run's context that returns `Allow()`, `Ask('...')`, `Deny('why')`, or `None`. It
            holds for the whole run: also in the agents that this one calls or hands over to, besides their own.
        store: Where its runs are recorded, unless the run is given another store: `SQLiteStore('agents.db')`.
        middleware: Stands around each model call and tool call of its runs: `Middleware` objects, the first outermost.
        eager: When streaming, start what the model has written completely while it still writes.
        max_observation: Characters of a tool's value that the model reads; `None` is no limit. The rest is
            named in a notice, and kept in the result.
        continue_cut: Have the model go on when the token limit cuts its answer, instead of returning it
            with the state `cut`.
    """

    client: AsyncOpenAI | None
    instructions: Instructions[Deps]
    prompt_file: str | Path | None
    deps_type: type[Deps] | None
    limits: Limits | None
    name: str
    description: str
    handoffs: Iterable[Agent[Any, Any]] | Callable[[], Iterable[Agent[Any, Any]]]
    policy: Policy | None
    store: Store | None
    middleware: Iterable[Middleware]
    eager: bool
    max_observation: int | None
    continue_cut: bool


#: What an agent has where nothing is passed.
DEFAULTS: AgentOptions[Any] = {
    "client": None,
    "instructions": "",
    "prompt_file": None,
    "deps_type": None,
    "limits": None,
    "name": "agent",
    "description": "",
    "handoffs": (),
    "policy": None,
    "store": None,
    "middleware": (),
    "eager": True,
    "max_observation": MAX_OBSERVATION,
    "continue_cut": False,
}


class AgentSignature:
    """The signature of a kind of agent with each of its options by name: for completion in notebooks, and `help()`."""

    def __get__(self, _: object, kind: type[Agent[Any, Any]]) -> Signature:
        """Return the signature of the class."""
        own = [item for item in signature(kind.__init__).parameters.values() if item.kind is not Parameter.VAR_KEYWORD]
        written = {name: said.__forward_arg__ for name, said in AgentOptions.__annotations__.items()}
        options = (
            Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=written[name])
            for name, default in DEFAULTS.items()
        )
        return Signature([*own[1:], *options])


def check_options(options: AgentOptions[Deps]) -> AgentOptions[Deps]:
    """Return the options, checked, with defaults for those that were not passed.

    Raises:
        UnknownOptionError: There is no such option.
        ConfigurationError: An option is wrong; the text says what to pass.
    """
    if unknown := options.keys() - AgentOptions.__annotations__.keys():
        raise UnknownOptionError(no_option("agent", unknown, ["model", *AgentOptions.__annotations__]))
    given: AgentOptions[Deps] = {**DEFAULTS, **options}
    limits, name, description, longest = (given[key] for key in ("limits", "name", "description", "max_observation"))
    deps = given["deps_type"]
    if deps is not None and (isinstance(deps, UnionType) or not isinstance(get_origin(deps) or deps, type)):
        raise ConfigurationError(f"deps_type={deps!r}: pass the class of what runs get as deps=, such as dict.")
    if not isinstance(limits, Limits | None):
        raise ConfigurationError(f"limits={limits!r}: pass Limits(steps=..., tokens=..., seconds=...).")
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"name={name!r}: pass a name for the agent.")
    if not isinstance(description, str):
        raise ConfigurationError(f"description={description!r}: pass text that says what the agent is good for.")
    if given["policy"] is not None:
        check_policy("policy=", given["policy"])
    if given["store"] is not None:
        from tinyagent.agents.journal import checked_store

        checked_store(given["store"])
    if longest is not None and not (isinstance(longest, int) and longest > 0):
        raise ConfigurationError(f"max_observation={longest!r}: pass characters above 0, or None.")
    return given


def check_deps(deps: object, kind: type[Any] | None, agent: str) -> None:
    """Refuse `deps` that are not of the agent's `deps_type=`; a protocol or a typed dict cannot tell, and refuses none.

    Raises:
        ConfigurationError: `deps` are of another type; the text says what to pass.
    """
    with suppress(TypeError):
        if kind is None or isinstance(deps, get_origin(kind) or kind):
            return
        name = kind.__name__ if isinstance(kind, type) else kind
        raise ConfigurationError(
            f"deps={brief(deps)}: the agent {agent!r} has deps_type={name}, so pass one to its runs."
        )


def no_option(kind: Literal["agent", "run"], unknown: Iterable[str], known: Collection[str]) -> str:
    """Return what is said of options that do not exist."""
    from tinyagent.core.names import refused

    of_the_model = (*OpenAIModel.__init__.__annotations__, *ModelSettings.__annotations__)
    cures = {name: f"it is the model's: model=OpenAIModel('gpt-4o-mini', {name}=...)" for name in of_the_model}
    return refused(kind, unknown, known, cures)


def as_model(model: str | Model, client: AsyncOpenAI | None) -> Model:
    """Return `model` as a `Model`; a name becomes an `OpenAIModel` with the client.

    Raises:
        ConfigurationError: `model` is neither a name nor a model, or there is a client for what is no name.
    """
    if isinstance(model, str):
        return OpenAIModel(model, client=client)
    if client is not None:
        raise ConfigurationError("client= goes with a model's name. Pass OpenAIModel('name', client=client) as model=.")
    if isinstance(model, type) or not callable(model):
        raise ConfigurationError(
            f"model={model!r}: pass a model's name such as 'gpt-4o-mini', or a model such as OpenAIModel('name', ...)."
        )
    return model


def tool_name(name: str, what: str) -> str:
    """Return an agent's name as the name of a tool.

    Args:
        name: The agent's name.
        what: What the tool is for, or how to name it, as the error says.

    Raises:
        ConfigurationError: The name makes no name for a tool.
    """
    made = "_".join(name.split()).replace("-", "_")
    if not (NAME_PATTERN.match(made) and made.isidentifier()):
        raise ConfigurationError(
            f"The agent's name {name!r} makes no name for a tool ({what}). Use letters, digits and '_'."
        )
    return made
