"""`@tool`, the registry, and the tools of one agent."""

import dataclasses
import functools
import gc
import subprocess
import sys
import textwrap
import weakref

import pytest

from tinyagent.agents.react import ReactAgent
from tinyagent.core.errors import (
    ConfigurationError,
    DuplicateToolError,
    FrozenRegistryError,
    ToolDefinitionError,
)
from tinyagent.core.registry import ToolRegistry, as_tool, collect, freeze_registry, get_registry, tool
from tinyagent.core.tool import Tool
from tinyagent.testing.script import call


def search(query: str) -> str:
    """Find pages."""
    return query


def add(a: int, b: int) -> int:
    return a + b


async def add_async(a: int, b: int) -> int:
    return a + b


class Multiply:
    def __call__(self, a: int, b: int) -> int:
        return a * b

    def method(self, a: int) -> int:
        return a


# ---- @tool


def test_bare_decorator():
    @tool
    def look(query: str) -> str:
        """Look it up."""
        return query

    assert isinstance(look, Tool)
    assert (look.name, look.__name__, look.__doc__) == ("look", "look", "Look it up.")
    assert look("x") == "x"
    assert get_registry()["look"] is look


async def test_bare_decorator_on_a_coroutine_function():
    @tool
    async def look(query: str) -> str:
        return query

    assert look.is_async
    assert await look("x") == "x"
    assert await look.run({"query": 5}) == "5"


def test_decorator_with_options():
    @tool(name="find", timeout=2, retries=1, exclusive=True, read_only=True, returns_answer=True, eager=False)
    def look(query: str) -> str:
        """Look it up."""

    assert (look.name, look.__name__, look.description) == ("find", "look", "Look it up.")
    assert (look.timeout, look.retries) == (2, 1)
    assert (look.exclusive, look.read_only, look.returns_answer, look.eager) == (True, True, True, False)
    assert get_registry()["find"] is look
    assert "look" not in get_registry()


def test_decorator_with_empty_parentheses():
    @tool()
    def look(query: str) -> str:
        """Look it up."""

    assert isinstance(look, Tool)
    assert get_registry()["look"] is look


def test_one_options_object_makes_several_tools():
    quick = tool(timeout=1)
    assert [quick(function).name for function in (add, search)] == ["add", "search"]
    assert {get_registry()["add"].timeout, get_registry()["search"].timeout} == {1}


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (add, "add"),
        (add_async, "add_async"),
        (functools.partial(add, 1), "add"),
        (functools.partial(functools.partial(add_async, 1)), "add_async"),
        (Multiply(), "Multiply"),
        (Multiply().method, "method"),
        (Tool(add), "add"),
        (len, "len"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_tool_called_on_anything_callable(function, name):
    made = tool(function)
    assert isinstance(made, Tool)
    assert made.name == name
    assert made.function is function or made.function == function
    assert get_registry()[name] is made


@pytest.mark.parametrize("wrong", ["search", 3, [add], {"name": "x"}])
def test_decorator_on_what_is_no_function(wrong):
    with pytest.raises(ToolDefinitionError, match="not a function"):
        tool(wrong)


def test_unknown_option():
    with pytest.raises(TypeError, match="timout"):
        tool(timout=3)(add)


def test_positional_option():
    with pytest.raises(TypeError):
        tool(add, "name")


def test_a_tool_that_cannot_be_made_is_not_registered():
    def broken(*numbers: int):
        """Broken."""

    with pytest.raises(ToolDefinitionError):
        tool(broken)
    assert "broken" not in get_registry()


def test_methods_are_not_registered_until_they_have_an_instance():
    class Kit:
        @tool
        def method_of_a_kit(self, x: int) -> int:
            return x

        @staticmethod
        @tool
        def static_of_a_kit(x: int) -> int:
            return x

    assert not {"method_of_a_kit", "static_of_a_kit"} & set(get_registry())
    bound = Kit().method_of_a_kit
    get_registry().add(bound)
    assert get_registry()["method_of_a_kit"] is bound


def test_tools_inside_functions_are_registered():
    def make():
        @tool
        def made_inside(x: int) -> int:
            return x

        return made_inside

    assert make() is get_registry()["made_inside"]


def test_defining_a_tool_again_replaces_it():
    """A notebook cell that runs twice."""

    def cell(answer):
        @tool
        def twice() -> int:
            return answer

        return twice

    first, second = cell(1), cell(2)
    assert first is not second
    assert get_registry()["twice"] is second
    assert (first(), second()) == (1, 2)


def test_ones_own_tool_replaces_another_of_its_name():
    class Theirs:
        def __call__(self, query: str) -> str:
            return "theirs"

    theirs = tool(name="web_search")(Theirs())

    @tool
    def web_search(query: str, limit: int = 3) -> str:
        return "mine"

    assert get_registry()["web_search"] is web_search
    assert theirs("x") == "theirs"


# ---- the registry


def test_registry_is_a_mapping():
    registry = ToolRegistry([search, Tool(add, name="plus")])
    assert list(registry) == ["search", "plus"]
    assert len(registry) == 2
    assert registry["plus"].function is add
    assert registry.get("minus") is None
    assert "search" in registry
    assert {name: found.name for name, found in registry.items()} == {"search": "search", "plus": "plus"}
    assert repr(registry) == "ToolRegistry(search, plus)"
    with pytest.raises(KeyError):
        registry["minus"]
    with pytest.raises(TypeError):
        registry["minus"] = Tool(add)


def test_registry_adds_removes_and_replaces():
    registry = ToolRegistry()
    first = registry.add(add)
    assert isinstance(first, Tool)
    second = registry.add(Tool(add_async, name="add"))
    assert registry["add"] is second is not first
    assert len(registry) == 1
    registry.remove("add")
    assert not registry
    with pytest.raises(KeyError):
        registry.remove("add")


@pytest.mark.parametrize("wrong", [3, "add", lambda x: x])
def test_registry_refuses_what_is_no_tool(wrong):
    registry = ToolRegistry()
    with pytest.raises(ToolDefinitionError):
        registry.add(wrong)
    assert not registry


def test_registries_are_independent():
    ToolRegistry([Tool(add, name="only_here")])
    assert "only_here" not in get_registry()


def test_there_is_one_global_registry():
    assert get_registry() is get_registry()
    assert isinstance(get_registry(), ToolRegistry)


# ---- freezing


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda registry: registry.add(add), "add 'add'"),
        (lambda registry: registry.add(Tool(search)), "add 'search'"),
        (lambda registry: registry.remove("search"), "remove 'search'"),
        (lambda registry: registry.remove("unknown"), "remove 'unknown'"),
    ],
)
def test_frozen_registry_refuses_changes(change, what):
    registry = ToolRegistry([search])
    before = dict(registry)
    assert not registry.frozen
    registry.freeze()
    registry.freeze()
    assert registry.frozen
    with pytest.raises(FrozenRegistryError) as caught:
        change(registry)
    assert str(caught.value).startswith(f"Cannot {what}: the tool registry is frozen.")
    assert "freeze_registry()" in str(caught.value)
    assert dict(registry) == before
    assert repr(registry) == "ToolRegistry(search; frozen)"


def test_freezing_the_global_registry():
    """A fixture thaws it; in a program there is no way back (see below)."""
    tool(add)
    freeze_registry()
    assert get_registry().frozen
    with pytest.raises(FrozenRegistryError, match="Cannot add 'search'"):

        @tool
        def search(query: str):
            """Never."""

    with pytest.raises(FrozenRegistryError, match="Cannot add 'found'"):

        @tool(name="found")
        def find(query: str):
            """Never."""

    with pytest.raises(FrozenRegistryError):
        tool(add)
    assert "search" not in get_registry()


async def test_agents_work_with_a_frozen_registry(scripted_model):
    freeze_registry()

    class Kit:
        @tool
        def method(self, x: int) -> int:
            return x

    agent = ReactAgent(
        [add, Tool(search), Kit().method], model=scripted_model([[call("add", a=1, b=2), call("method", x=4)], "done"])
    )
    result = await agent.run("go")
    assert [observation.value for observation in result.steps[0].observations] == [3, 4]


def test_freezing_lasts_for_the_process():
    program = """
        from tinyagent import Tool, freeze_registry, get_registry, tool
        from tinyagent.errors import FrozenRegistryError

        @tool
        def before(x: int) -> int:
            return x

        freeze_registry()
        attempts = [
            lambda: tool(lambda: 1),
            lambda: tool(before.function),
            lambda: get_registry().remove("before"),
        ]
        for attempt in attempts:
            try:
                attempt()
            except FrozenRegistryError as error:
                print("refused:", error)
            except Exception as error:
                print(type(error).__name__)
        print(list(get_registry()), Tool(before.function)(3), [name for name in dir(get_registry()) if "thaw" in name])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=60, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "ToolDefinitionError"  # a lambda has no name
    assert lines[1].startswith("refused: Cannot add 'before': the tool registry is frozen.")
    assert lines[2].startswith("refused: Cannot remove 'before'")
    assert lines[3] == "['before'] 3 []"


# ---- the tools of one agent


def test_agent_uses_the_very_objects_it_is_given():
    @tool
    def look(x: int) -> int:
        return 1

    mine = Tool(add, name="look_again")
    agent = ReactAgent([look, mine], model=lambda *_: None)
    assert agent.tools["look"] is look
    assert agent.tools["look_again"] is mine

    @tool
    def look(x: int) -> int:
        return 2

    assert get_registry()["look"] is look is not agent.tools["look"]
    assert agent.tools["look"](0) == 1


async def test_agent_never_looks_a_tool_up_by_name(scripted_model):
    tool(name="hidden")(add)
    model = scripted_model([call("hidden", a=1, b=2), "no such tool"])
    result = await ReactAgent([search], model=model).run("go")
    assert "There is no tool named 'hidden'" in result.steps[0].observations[0].error


async def test_agent_calls_the_function_it_was_given_and_not_the_registered_one(scripted_model):
    tool(name="search")(lambda query: "the registered one")
    result = await ReactAgent([search], model=scripted_model([call("search", query="mine"), "done"])).run("go")
    assert result.steps[0].observations[0].value == "mine"


@dataclasses.dataclass(frozen=True)
class Index:
    """Equal to any other of its name, and yet an object of its own."""

    name: str
    log: list = dataclasses.field(compare=False)

    def __call__(self, query: str) -> str:
        self.log.append(query)
        return query


async def test_equal_objects_are_told_apart():
    first, second = Index("pages", []), Index("pages", [])
    for index in (first, second):
        agent = ReactAgent([index], model=lambda *_: None)
        assert agent.tools["Index"].function is index
        await agent.tools["Index"].run({"query": "x"})
    assert (first.log, second.log) == (["x"], ["x"])


def test_function_given_to_agents_is_described_once():
    agents = [ReactAgent([search], model=lambda *_: None) for _ in range(2)]
    assert agents[0].tools["search"] is agents[1].tools["search"]
    assert as_tool(search) is as_tool(search)
    assert "search" not in get_registry()


def test_function_is_not_kept_alive_by_having_been_a_tool():
    """A server that makes tools for each request must not collect them."""

    def make():
        def closure(x: int) -> int:
            return x

        ReactAgent([closure], model=lambda *_: None)
        return weakref.ref(closure)

    left = make()
    gc.collect()
    assert left() is None


def test_as_tool_of_objects_that_cannot_be_remembered():
    class Slotted:
        __slots__ = ()

        def __call__(self, x: int) -> int:
            return x

    @dataclasses.dataclass
    class Unhashable:
        def __call__(self, x: int) -> int:
            return x

    for item in (Slotted(), Unhashable()):
        assert as_tool(item).function is item


def test_bound_methods_are_tools_of_their_own():
    class Kit:
        def __init__(self, number):
            self.number = number

        def give(self) -> int:
            return self.number

        @tool
        def give_more(self) -> int:
            return self.number + 1

    kits = [Kit(1), Kit(2)]
    assert [as_tool(kit.give)() for kit in kits] == [1, 2]
    assert [as_tool(kit.give_more)() for kit in kits] == [2, 3]
    with pytest.raises(DuplicateToolError, match=r"Kit\.give and .*Kit\.give"):
        collect([kit.give for kit in kits])


def other_search(query: str) -> str:
    return query


class Finder:
    def search(self, query: str) -> str:
        return query

    def __call__(self, query: str) -> str:
        return query


@pytest.mark.parametrize(
    ("items", "name", "sources"),
    [
        ([search, Tool(other_search, name="search")], "search", ["search", "other_search"]),
        ([add, Finder().search, search], "search", ["Finder.search", "search"]),
        ([Tool(Finder(), name="search"), search], "search", ["Finder", "search"]),
        ([Tool(search, name="a"), Tool(add, name="a")], "a", ["search", "add"]),
        ([Tool(search), Tool(search)], "search", ["search", "search"]),
        ([Tool(len, name="search"), search], "search", ["len", "search"]),
        ([Tool(functools.partial(add, 1), name="search"), search], "search", ["add", "search"]),
    ],
    ids=["functions", "method", "object", "renamed", "the same twice", "builtin", "partial"],
)
def test_two_tools_of_one_name_are_an_error_naming_both_functions(items, name, sources):
    with pytest.raises(DuplicateToolError) as caught:
        ReactAgent(items, model=lambda *_: None)
    text = str(caught.value)
    modules = {"len": "builtins"}
    first, second = (f"{modules.get(source, __name__)}.{source}" for source in sources)
    assert text.startswith(f"Two tools are named {name!r}: {first} and {second}.")
    assert "@tool(name='...')" in text


def test_one_tool_given_twice_is_one_tool():
    assert list(collect([search, search])) == ["search"]
    made = Tool(add)
    assert collect([made, made]) == {"add": made}


def test_tools_keep_their_order():
    assert list(collect([search, Tool(add), Multiply(), other_search])) == [
        "search",
        "add",
        "Multiply",
        "other_search",
    ]
    assert collect(iter([search])).keys() == {"search"}
    assert collect(ToolRegistry([add]).values()).keys() == {"add"}
    assert collect(()) == {}


@pytest.mark.parametrize("wrong", [search, "search", {"search": search}, None, 3])
def test_tools_that_are_no_list(wrong):
    with pytest.raises(ConfigurationError, match=r"pass a list of functions, such as tools=\[search, add\]"):
        ReactAgent(wrong, model=lambda *_: None)


@pytest.mark.parametrize("wrong", [3, "search", None, [search]])
def test_item_that_is_no_tool(wrong):
    with pytest.raises(ToolDefinitionError):
        ReactAgent([search, wrong], model=lambda *_: None)
