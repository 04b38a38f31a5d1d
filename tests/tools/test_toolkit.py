"""Toolkits: which methods are their tools, how they are entered, and their prefixes."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import threading

import pytest

from tinyagent import ConfigurationError, Context, Tool, Toolkit, tool
from tinyagent.tools.toolkit import ObjectToolkit, as_toolkit, entry_of


class Notes(Toolkit):
    """Counts how often it is opened and closed."""

    def __init__(self):
        self.rows, self.opened, self.closed, self.tasks = [], 0, 0, []

    async def open(self):
        self.opened += 1
        self.tasks.append(asyncio.current_task())

    async def close(self):
        self.closed += 1
        self.tasks.append(asyncio.current_task())

    @tool
    async def put(self, row: str) -> int:
        """Keep a row.

        Args:
            row: What to keep.
        """
        self.rows.append(row)
        return len(self.rows)

    @tool(timeout=5, read_only=True)
    def count(self) -> int:
        """How many rows there are."""
        return len(self.rows)


class Door:
    """Any object, with an entrance of its own."""

    def __init__(self):
        self.came, self.left = 0, []

    async def __aenter__(self):
        self.came += 1
        return self

    async def __aexit__(self, kind, *_):
        self.left.append(kind)

    @tool
    async def knock(self) -> str:
        """Knock."""
        return "who is there?"


def names(kit):
    return [each.name for each in kit.tools]


# ---- which methods are tools


def test_the_marked_methods_are_its_tools_in_order_and_bound_to_it():
    mine, other = Notes(), Notes()
    assert names(mine) == ["put", "count"]
    put, count = mine.tools
    assert count() == 0
    assert asyncio.run(put("a")) == 1
    assert (count(), mine.rows, other.rows) == (1, ["a"], [])
    assert (count.timeout, count.read_only, count.is_async, put.is_async) == (5, True, False, True)
    assert put.parameters["properties"] == {"row": {"type": "string", "description": "What to keep."}}
    assert all(isinstance(each, Tool) for each in mine.tools)


def test_its_tools_are_the_same_objects_each_time():
    kit = Notes()
    assert kit.tools is kit.tools
    assert kit.tools is not Notes().tools


def test_a_method_is_still_called_like_one():
    assert Notes().count() == 0


async def test_a_tool_is_run_with_arguments_that_are_checked():
    kit = Notes()
    assert await kit.tools[0].run({"row": "a"}) == 1
    assert await kit.tools[1].run({}) == 1


def test_those_of_base_classes_come_first_and_are_overridden_in_their_place():
    class Base(Toolkit):
        @tool
        def first(self) -> str:
            """First of base."""
            return "base"

        @tool
        def second(self) -> str:
            """Second."""
            return self.first()

    class Derived(Base):
        @tool
        def third(self) -> str:
            """Third."""
            return super().first()

        @tool(name="premier")
        def first(self) -> str:
            """First of derived."""
            return "derived"

    kit = Derived()
    assert names(kit) == ["premier", "second", "third"]
    assert [each() for each in kit.tools] == ["derived", "derived", "base"]
    assert kit.tools[0].description == "First of derived."
    assert names(Base()) == ["first", "second"]


@pytest.mark.parametrize("instead", [lambda self: "plain", None, property(lambda self: 1 / 0)])
def test_what_is_overridden_by_no_tool_is_none(instead):
    kit = type("Derived", (Notes,), {"put": instead})()
    assert names(kit) == ["count"]


def test_tools_of_several_bases_come_together():
    class Left(Toolkit):
        @tool
        def left(self) -> str:
            """Left."""
            return "left"

        @tool
        def both(self) -> str:
            """Both."""
            return "from left"

    class Mixin:
        @tool
        def right(self) -> str:
            """Right."""
            return "right"

        @tool
        def both(self) -> str:
            """Both."""
            return "from right"

    class Together(Left, Mixin):
        pass

    kit = Together()
    assert sorted(names(kit)) == ["both", "left", "right"]
    assert {each.name: each() for each in kit.tools} == {"left": "left", "right": "right", "both": "from left"}


async def test_class_methods_static_methods_and_attributes_can_be_tools():
    async def twice(number: int) -> int:
        """Twice the number."""
        return 2 * number

    class Kit(Toolkit):
        size = 3

        @classmethod
        @tool
        def grow(cls, by: int) -> int:
            """Grow."""
            return cls.size + by

        @staticmethod
        @tool
        def add(a: int, b: int) -> int:
            """Add."""
            return a + b

        double = staticmethod(Tool(twice, name="double"))

    class Larger(Kit):
        size = 10

    kit = Larger()
    assert names(kit) == ["grow", "add", "double"]
    grow, add, double = kit.tools
    assert await grow.run({"by": 1}) == 11
    assert await add.run({"a": 1, "b": 2}) == 3
    assert await double.run({"number": 4}) == 8
    assert [sorted(each.parameters["properties"]) for each in kit.tools] == [["by"], ["a", "b"], ["number"]]


def test_nothing_else_of_it_is_looked_at():
    class Trap(Toolkit):
        @property
        def trap(self):
            raise AssertionError("it was looked at")

        def __getattr__(self, name):
            raise AssertionError(f"{name} was looked for")

        @tool
        def safe(self) -> str:
            """Safe."""
            return "safe"

    assert names(Trap()) == ["safe"]
    assert Trap().prefixed("a").tools[0].name == "a_safe"


def test_a_toolkit_without_tools_has_none():
    assert Toolkit().tools == ()
    assert repr(Toolkit()) == "Toolkit()"


def test_it_is_shown_with_the_names_of_its_tools():
    assert repr(Notes()) == "Notes(put, count)"
    assert repr(Notes().prefixed("my")) == "PrefixedToolkit(my_put, my_count)"


def test_methods_in_classes_are_not_in_the_registry():
    from tinyagent import get_registry

    assert "put" not in get_registry()


# ---- odd classes


@dataclasses.dataclass
class Equal(Toolkit):
    """All of them are equal, and none has a hash."""

    rows: list[str] = dataclasses.field(default_factory=list)

    @tool
    def put(self, row: str) -> int:
        """Keep a row."""
        self.rows.append(row)
        return len(self.rows)


@dataclasses.dataclass(frozen=True)
class Frozen(Toolkit):
    """Cannot be changed."""

    rows: list[str] = dataclasses.field(default_factory=list)
    put = Equal.put


@dataclasses.dataclass(slots=True)
class Slots(Toolkit):
    """Its fields are slots."""

    rows: list[str] = dataclasses.field(default_factory=list)
    put = Equal.put


@pytest.mark.parametrize("cls", [Equal, Frozen, Slots])
async def test_dataclasses_are_toolkits_like_others(cls):
    mine, other = cls(), cls()
    async with mine, mine, other:
        assert [mine.tools[0]("a"), mine.tools[0]("b"), other.tools[0]("c")] == [1, 2, 1]
    assert (mine.rows, other.rows) == (["a", "b"], ["c"])
    assert dataclasses.replace(mine, rows=[]).tools[0]("d") == 1
    assert dataclasses.asdict(mine) == {"rows": ["a", "b"]}


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
async def test_a_copy_has_tools_of_its_own(how):
    kit = Notes()
    async with kit:
        assert names(kit) == ["put", "count"]
    kit.tasks.clear()
    copied = how(kit)
    copied.rows = []
    copied.opened = copied.closed = 0
    async with copied:
        assert await copied.tools[0]("a") == 1
    assert (kit.rows, copied.rows) == ([], ["a"])
    assert (kit.opened, copied.opened, copied.closed) == (1, 1, 1)


# ---- objects of other classes


def test_any_object_with_tools_is_a_toolkit():
    kit, door = Notes(), Door()
    assert as_toolkit(kit) is kit
    made = as_toolkit(door)
    assert isinstance(made, ObjectToolkit)
    assert names(made) == ["knock"]
    assert made.tools is made.tools
    assert repr(made) == "ObjectToolkit(knock)"


@pytest.mark.parametrize("item", [Notes.put, Notes().put, len, print, 7, "put", None, asyncio, object()])
def test_what_has_no_tools_is_none(item):
    assert as_toolkit(item) is None


def test_a_toolkit_whose_methods_are_not_marked_is_refused():
    class Forgotten(Toolkit):
        async def add(self, x: int) -> int:
            """Add."""

    with pytest.raises(ConfigurationError, match=r"The toolkit Forgotten has no tools\. Put @tool on its methods\."):
        as_toolkit(Forgotten())


async def test_open_and_close_may_be_plain_functions():
    class Plain(Toolkit):
        def open(self):
            self.there = True

        def close(self):
            self.there = False

    kit = Plain()
    async with kit:
        assert kit.there
    assert not kit.there


@pytest.mark.parametrize("cls", [Notes, Door, Toolkit])
def test_a_class_is_refused_with_what_to_pass(cls):
    with pytest.raises(ConfigurationError, match=rf"pass an object, {cls.__name__}\(\.\.\.\)"):
        as_toolkit(cls)


async def test_an_object_is_entered_and_left_once_however_many_use_it():
    door = Door()
    one, other = as_toolkit(door), as_toolkit(door)  # as two agents make them
    async with one, other, one:
        assert (door.came, door.left) == (1, [])
    assert (door.came, door.left) == (1, [None])
    async with other:
        assert door.came == 2


async def test_an_object_without_room_to_remember_is_entered_once_by_its_toolkit():
    class Narrow:
        __slots__ = ("came",)

        def __init__(self):
            self.came = 0

        async def __aenter__(self):
            self.came += 1

        async def __aexit__(self, *_):
            pass

        @tool
        def knock(self) -> int:
            """Knock."""
            return self.came

    kit = as_toolkit(Narrow())
    async with kit, kit:
        assert kit.tools[0]() == 1
    async with kit:
        assert kit.tools[0]() == 2


async def test_an_object_that_cannot_be_entered_so_is_not():
    class Synchronous:
        def __enter__(self):
            raise AssertionError("it was entered")

        def __exit__(self, *_):
            raise AssertionError("it was left")

        @tool
        def knock(self) -> int:
            """Knock."""
            return 1

    async with as_toolkit(Synchronous()) as kit:
        assert kit.tools[0]() == 1


# ---- entering


async def test_it_is_opened_once_and_closed_after_the_last_in_a_task_of_its_own():
    kit = Notes()
    async with kit as entered, kit:
        assert entered is kit
        assert (kit.opened, kit.closed) == (1, 0)
    assert (kit.opened, kit.closed) == (1, 1)
    assert kit.tasks[0] is kit.tasks[1]
    assert kit.tasks[0] is not asyncio.current_task()


async def test_each_opening_has_a_task_of_its_own():
    kit = Notes()
    for _ in range(2):
        async with kit:
            pass
    assert (kit.opened, kit.closed) == (2, 2)
    assert kit.tasks[0] is not kit.tasks[2]


async def test_a_toolkit_that_could_not_be_opened_is_not_closed():
    class Broken(Notes):
        async def open(self):
            await super().open()
            raise OSError("no such database")

    kit = Broken()
    for times in (1, 2):
        with pytest.raises(OSError, match="no such database"):
            async with kit:
                pytest.fail("it is not open")
        assert (kit.opened, kit.closed) == (times, 0)


async def test_prefixed_toolkits_open_the_one_they_are_made_of_once():
    kit = Notes()
    async with kit.prefixed("a") as first, kit.prefixed("b"), kit:
        assert names(first) == ["a_put", "a_count"]
        assert (kit.opened, kit.closed) == (1, 0)
    assert (kit.opened, kit.closed) == (1, 1)


async def test_a_toolkit_with_an_entrance_of_its_own_is_entered_there_once_by_all():
    class Own(Notes):
        async def __aenter__(self):
            await self.open()
            return self

        async def __aexit__(self, *_):
            await self.close()

    kit = Own()
    async with entry_of(kit), entry_of(kit), kit.prefixed("a"):
        assert (kit.opened, kit.closed) == (1, 0)
    assert (kit.opened, kit.closed) == (1, 1)


@pytest.mark.parametrize("entrance", [lambda kit: kit, entry_of], ids=["itself", "as an agent does"])
def test_an_entrance_may_build_on_that_of_the_base(entrance):
    class More(Notes):
        async def __aenter__(self):
            await super().__aenter__()
            self.rows.append("entered")
            return self

        async def __aexit__(self, *exc):
            self.rows.append("left")
            await super().__aexit__(*exc)

    kit = More()

    async def enter():
        async with entrance(kit):
            assert (kit.opened, kit.closed) == (1, 0)

    thread = threading.Thread(target=lambda: asyncio.run(enter()), daemon=True)  # which may hang for good
    thread.start()
    thread.join(2)
    assert not thread.is_alive()
    assert (kit.opened, kit.closed, kit.rows) == (1, 1, ["entered", "left"])


# ---- prefixes


async def test_a_prefix_tells_two_apart_and_changes_nothing_else():
    kit = Notes()
    prefixed = kit.prefixed("sales")
    put, count = prefixed.tools
    assert (put.name, count.name, put.__name__) == ("sales_put", "sales_count", "sales_put")
    assert (count.timeout, count.read_only) == (5, True)
    assert put.definition["function"]["parameters"] == kit.tools[0].parameters
    assert await put.run({"row": "a"}) == kit.count() == count() == 1
    assert names(kit) == ["put", "count"]
    assert prefixed.tools is prefixed.tools


def test_a_wrong_argument_is_told_under_the_longer_name():
    from tinyagent.errors import ToolArgumentsError

    with pytest.raises(ToolArgumentsError, match="do not fit the tool 'sales_put'"):
        asyncio.run(Notes().prefixed("sales").tools[0].run({"row": "a", "column": 1}))


@pytest.mark.parametrize(("prefix", "name"), [("a_", "a_put"), ("a", "a_put"), ("_a", "_a_put"), ("a-1", "a-1_put")])
def test_an_underscore_joins_prefix_and_name(prefix, name):
    assert names(Notes().prefixed(prefix))[0] == name


def test_a_prefix_can_be_put_before_a_prefix():
    assert names(Notes().prefixed("inner").prefixed("outer")) == ["outer_inner_put", "outer_inner_count"]


@pytest.mark.parametrize("prefix", ["", "_", "__", None, 7, b"a"])
def test_a_prefix_is_text(prefix):
    with pytest.raises(ConfigurationError, match=r"prefixed\(.*\): pass text, such as prefixed\('sales'\)"):
        Notes().prefixed(prefix)


@pytest.mark.parametrize("prefix", ["a b", "a.b", "ä", "a" * 60 + "bcd"])
def test_a_prefix_that_makes_no_names_is_refused_at_once(prefix):
    with pytest.raises(ConfigurationError, match=r"makes no names for tools: use letters, digits and '_'"):
        Notes().prefixed(prefix)


def test_a_prefix_follows_tools_that_come_and_go():
    class Changing(Toolkit):
        now: tuple[Tool, ...] = ()

        @property
        def tools(self):
            return self.now

    kit = Changing()
    prefixed = kit.prefixed("my")
    assert prefixed.tools == ()
    kit.now = Notes().tools
    before = prefixed.tools
    assert names(prefixed) == ["my_put", "my_count"]
    assert prefixed.tools is before
    kit.now = kit.now[:1]
    assert names(prefixed) == ["my_put"]


async def test_what_a_prefixed_toolkit_gives_a_run_has_the_prefix_too():
    class PerRun(Notes):
        def for_run(self):
            return PerRun()

    shared, per_run = Notes().prefixed("a"), PerRun().prefixed("b")
    assert shared.for_run() is shared
    mine = per_run.for_run()
    assert mine is not per_run
    assert names(mine) == ["b_put", "b_count"]
    assert await mine.tools[0]("x") == 1
    assert per_run.kit.rows == []


def test_by_default_all_runs_use_the_same():
    kit = Notes()
    assert kit.for_run() is kit


async def test_a_tool_that_wants_to_know_its_run_says_its_longer_name():
    class Knowing(Toolkit):
        @tool
        async def who(self, context: Context) -> str:
            """Who."""
            return context.tool

    from tinyagent import ReactAgent
    from tinyagent.testing import ScriptedModel

    agent = ReactAgent([Knowing().prefixed("my")], model=ScriptedModel([]))
    assert await agent.execute_tool("my_who") == "my_who"
