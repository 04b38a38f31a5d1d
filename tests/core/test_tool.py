"""Tools: what they are made of, and how they are called."""

import asyncio
import builtins
import contextlib
import dataclasses
import enum
import functools
import inspect
import math
import operator
import threading

import pytest
from pydantic import BaseModel

from tinyagent.agents.react import ReactAgent
from tinyagent.core import waiting
from tinyagent.core.context import Context
from tinyagent.core.errors import ConfigurationError, ToolArgumentsError, ToolDefinitionError
from tinyagent.core.events import Retry
from tinyagent.core.limits import Limits
from tinyagent.core.registry import collect, tool
from tinyagent.core.tool import GOES_ON, Tool, check_unbound, is_async
from tinyagent.testing import ScriptedModel
from tinyagent.testing.script import call

# ---- callables of every kind


def plain(x: int) -> int:
    """Plain."""
    return x + 1


async def coroutine(x: int) -> int:
    """Coroutine."""
    return x + 1


def returns_awaitable(x: int):
    return coroutine(x)


def logged(function):
    """A decorator as most are written: synchronous around anything."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def awaited(function):
    @functools.wraps(function)
    async def wrapper(*args, **kwargs):
        value = function(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    return wrapper


class Kit:
    def plain(self, x: int) -> int:
        return x + 1

    async def coroutine(self, x: int) -> int:
        return x + 1

    @logged
    async def decorated(self, x: int) -> int:
        return x + 1

    @logged
    def decorated_plain(self, x: int) -> int:
        return x + 1

    @classmethod
    async def of_class(cls, x: int) -> int:
        return x + 1

    @classmethod
    def of_class_plain(cls, x: int) -> int:
        return x + 1

    @staticmethod
    async def static(x: int) -> int:
        return x + 1

    @staticmethod
    def static_plain(x: int) -> int:
        return x + 1


class PlainObject:
    def __call__(self, x: int) -> int:
        return x + 1


class AsyncObject:
    async def __call__(self, x: int) -> int:
        return x + 1


class LoggedObject:
    @logged
    async def __call__(self, x: int) -> int:
        return x + 1


class SlottedObject:
    __slots__ = ("step",)

    def __init__(self):
        self.step = 1

    async def __call__(self, x: int) -> int:
        return x + self.step


@dataclasses.dataclass
class Unhashable:
    step: int = 1

    def __call__(self, x: int) -> int:
        return x + self.step


CALLABLES = [
    ("function", plain, False),
    ("coroutine function", coroutine, True),
    ("returns an awaitable", returns_awaitable, False),
    ("lambda", lambda x: x + 1, False),
    ("lambda that returns a coroutine", lambda x: coroutine(x + 0), False),
    ("partial", functools.partial(plain), False),
    ("partial of coroutine function", functools.partial(coroutine), True),
    ("partial of partial", functools.partial(functools.partial(coroutine)), True),
    ("method", Kit().plain, False),
    ("async method", Kit().coroutine, True),
    ("partial of async method", functools.partial(Kit().coroutine), True),
    ("decorated method", Kit().decorated_plain, False),
    ("decorated async method", Kit().decorated, True),
    ("class method", Kit.of_class_plain, False),
    ("async class method", Kit.of_class, True),
    ("static method", Kit.static_plain, False),
    ("async static method", Kit.static, True),
    ("callable object", PlainObject(), False),
    ("async callable object", AsyncObject(), True),
    ("partial of async callable object", functools.partial(AsyncObject()), True),
    ("decorated callable object", LoggedObject(), True),
    ("callable object with slots", SlottedObject(), True),
    ("callable object that is not hashable", Unhashable(), False),
    ("bound __call__", AsyncObject().__call__, True),
    ("wrapped", logged(plain), False),
    ("wrapped coroutine function", logged(coroutine), True),
    ("wrapped twice", logged(logged(coroutine)), True),
    ("partial of wrapped", functools.partial(logged(coroutine)), True),
    ("wrapped partial", logged(functools.partial(coroutine)), True),
    ("wrapped async method", logged(Kit().coroutine), True),
    ("wrapped callable object", logged(AsyncObject()), True),
    ("wrapped in a coroutine function", awaited(plain), True),
    ("coroutine function in a coroutine function", awaited(coroutine), True),
    ("tool", Tool(plain), False),
    ("async tool", Tool(coroutine), True),
    ("cached", functools.lru_cache(plain), False),
]
each_callable = pytest.mark.parametrize(
    ("function", "asynchronous"), [row[1:] for row in CALLABLES], ids=[row[0] for row in CALLABLES]
)


@each_callable
def test_async_is_detected(function, asynchronous):
    assert is_async(function) is asynchronous
    assert Tool(function, name="add_one").is_async is asynchronous


@each_callable
async def test_call_through_run(function, asynchronous):
    made = Tool(function, name="add_one")
    assert await made.run({"x": 1}) == 2
    assert list(made.parameters["properties"]) == ["x"]
    with pytest.raises(ToolArgumentsError, match="'add_one'"):
        await made.run({})


@each_callable
async def test_call_like_the_function(function, asynchronous):
    made = Tool(function, name="add_one")
    value, other = made(1), function(1)
    assert inspect.isawaitable(value) is inspect.isawaitable(other)
    for each in (value, other):
        assert (await each if inspect.isawaitable(each) else each) == 2
    value = made(x=2)
    assert (await value if inspect.isawaitable(value) else value) == 3


@each_callable
async def test_thread_of_a_call(function, asynchronous):
    """Coroutine functions run on the loop, everything else in a worker thread."""
    threads = []

    @functools.wraps(function)
    def noted(*args, **kwargs):
        threads.append(threading.get_ident())
        return function(*args, **kwargs)

    await Tool(noted, name="add_one").run({"x": 1})
    assert (threads[0] == threading.get_ident()) is asynchronous


@pytest.mark.parametrize("function", [plain, coroutine, logged(coroutine)])
def test_looks_like_the_function(function):
    made = Tool(function)
    assert made.__name__ == function.__name__ == made.name
    assert made.__doc__ == function.__doc__ == f"{made.description}"
    assert made.__qualname__ == function.__qualname__
    assert made.__module__ == __name__
    assert made.__wrapped__ is function is made.function
    assert inspect.signature(made) == inspect.signature(function)


def test_looks_like_the_function_under_another_name():
    made = Tool(plain, name="increment")
    assert (made.name, made.__name__) == ("increment", "plain")


def test_call_passes_arguments_as_they_are():
    def show(*, x: int, y: str = "y"):
        return x, y

    made = Tool(show)
    assert made(x="not checked") == ("not checked", "y")
    with pytest.raises(TypeError):
        made(1)


async def test_partial_documents_itself_as_its_function():
    made = Tool(functools.partial(plain, 1), name="two")
    assert made.description == "Plain."
    assert made.__doc__ == "Plain."


async def test_partial_with_bound_arguments():
    def scale(x: float, factor: float, *, offset: float = 0.0):
        return x * factor + offset

    made = Tool(functools.partial(scale, 2.0, offset=1.0))
    assert made.name == "scale"
    assert made.parameters["required"] == ["factor"]
    assert await made.run({"factor": "3"}) == 7.0
    assert await Tool(functools.partial(scale, factor=10)).run({"x": 1}) == 10


@pytest.mark.parametrize(
    ("function", "arguments", "value"),
    [
        (len, {"obj": [1, 2]}, 2),
        (math.sqrt, {"x": 9}, 3.0),
        (abs, {"x": -1}, 1),
        (operator.add, {"a": 1, "b": 2}, 3),
        (sorted, {"iterable": [3, 1], "reverse": True}, [3, 1]),
        ("a-b".split, {"sep": "-"}, ["a", "b"]),
        ({"a": 1}.get, {"key": "a"}, 1),
        (asyncio.sleep, {"delay": 0, "result": "up"}, "up"),
        ("a".upper, {}, "A"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_builtin(function, arguments, value):
    assert await Tool(function).run(arguments) == value


@pytest.mark.parametrize("function", [max, iter, dict, int])
def test_builtin_without_signature(function):
    with pytest.raises(ToolDefinitionError, match=f"'{function.__name__}'.*Wrap it in a function of your own"):
        Tool(function)


@dataclasses.dataclass
class Point:
    """A point."""

    x: int
    y: int = 0


async def test_class_as_a_tool():
    made = Tool(Point)
    assert made.name == "Point"
    assert made.description == "A point."
    assert not made.is_async
    assert await made.run({"x": "1"}) == Point(1, 0)
    with pytest.raises(ToolArgumentsError):
        await made.run({"x": "a"})


# ---- results


class Shade(enum.Enum):
    DARK = "dark"


class Answer(BaseModel):
    text: str


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        3,
        True,
        1.5,
        [1],
        {"a": {"b": []}},
        (1, 2),
        {1, 2},
        b"bytes",
        Point(1, 2),
        Answer(text="yes"),
        [Point(1)],
        Shade.DARK,
        object(),
        ValueError("as a value"),
        Point,
        len,
        {object(): object},
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "sync"])
async def test_value_is_the_object_itself(value, asynchronous):
    async def give_later():
        return value

    assert await Tool(give_later if asynchronous else lambda: value, name="give").run({}) is value


async def test_awaitable_of_a_synchronous_function_is_awaited_on_the_loop():
    loops = []

    async def inner():
        loops.append(asyncio.get_running_loop())
        return 1

    def outer():
        assert threading.current_thread() is not threading.main_thread()
        return inner()

    assert await Tool(outer).run({}) == 1
    assert loops == [asyncio.get_running_loop()]


async def test_any_awaitable_is_awaited():
    class Soon:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            return "soon"

    assert await Tool(Soon).run({}) == "soon"


async def test_wrapper_that_answers_without_its_coroutine():
    """A cache around an async tool returns some values at once."""

    @functools.wraps(coroutine)
    def cached(x):
        return "cached"

    assert await Tool(cached).run({"x": 1}) == "cached"


# ---- errors and cancellation


class Odd(Exception):
    pass


@pytest.mark.parametrize("kind", [Odd, TimeoutError, KeyError, StopIteration, StopAsyncIteration, asyncio.TimeoutError])
@pytest.mark.parametrize("timeout", [None, 60])
async def test_error_of_a_synchronous_tool(kind, timeout):
    def fail():
        raise kind("mine")

    async with asyncio.timeout(10):
        with pytest.raises(RuntimeError if kind is StopIteration else kind) as caught:
            await Tool(fail, timeout=timeout).run({})
    if kind is not StopIteration:  # which no coroutine can raise
        assert caught.value.args == ("mine",)


@pytest.mark.parametrize("kind", [Odd, TimeoutError, asyncio.CancelledError])
@pytest.mark.parametrize("timeout", [None, 60])
async def test_error_of_an_asynchronous_tool(kind, timeout):
    error = kind("mine")

    async def fail():
        raise error

    with pytest.raises(kind) as caught:
        await Tool(fail, timeout=timeout).run({})
    assert caught.value is error


async def test_timeout_of_an_asynchronous_tool_cancels_it():
    cleaned = []

    async def hang():
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(TimeoutError, match=r"the tool took longer than 0\.01 s and was stopped"):
        await Tool(hang, timeout=0.01).run({})
    assert cleaned == [True]


async def test_timeout_of_a_synchronous_tool_leaves_its_thread():
    started, release, ended = threading.Event(), threading.Event(), threading.Event()

    def hang():
        started.set()
        release.wait(30)
        ended.set()

    try:
        while not started.is_set():  # the time may be over before there is a thread
            with pytest.raises(TimeoutError, match=r"longer than 0\.01 s"):
                await Tool(hang, timeout=0.01).run({})
        assert not ended.is_set()
    finally:
        release.set()
    assert await asyncio.to_thread(ended.wait, 30)


async def test_timeout_covers_what_a_synchronous_tool_returns_to_be_awaited():
    awaited = []

    class Never:
        def __await__(self):
            awaited.append(True)
            yield from asyncio.Event().wait().__await__()

    def hang():
        return Never()

    while not awaited:  # the time may be over before the thread has answered
        with pytest.raises(TimeoutError, match="longer than"):
            await Tool(hang, timeout=0.01).run({})


@pytest.mark.parametrize("function", [plain, coroutine])
async def test_fast_tool_with_timeout(function):
    assert await Tool(function, timeout=60).run({"x": 1}) == 2


@pytest.mark.parametrize("timeout", [None, 60])
async def test_cancelling_the_caller_cancels_an_asynchronous_tool(timeout):
    started, cleaned = asyncio.Event(), []

    async def hang():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    task = asyncio.create_task(Tool(hang, timeout=timeout).run({}))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [True]


# ---- definition


def test_definition():
    def search(query: str, limit: int = 3):
        """Find pages.

        Args:
            query: Words.
        """

    assert Tool(search).definition == {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Find pages.",
            "parameters": {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "description": "Words."},
                    "limit": {"type": "integer", "default": 3},
                },
                "required": ["query"],
                "additionalProperties": False,
            },
        },
    }


def test_defaults_of_the_options():
    made = Tool(plain)
    assert (made.timeout, made.retries) == (None, 0)
    assert (made.exclusive, made.read_only, made.returns_answer, made.eager) == (False, False, False, True)


def test_options_are_kept():
    made = Tool(
        plain,
        name="other",
        description="Other.",
        timeout=2.5,
        retries=3,
        exclusive=True,
        read_only=True,
        returns_answer=True,
        eager=False,
    )
    assert (made.name, made.description, made.timeout, made.retries) == ("other", "Other.", 2.5, 3)
    assert (made.exclusive, made.read_only, made.returns_answer, made.eager) == (True, True, True, False)


@pytest.mark.parametrize(
    ("options", "piece"),
    [
        ({"timeout": 0}, "timeout=0 must be above 0"),
        ({"timeout": -1.5}, "timeout=-1.5"),
        ({"timeout": math.nan}, "timeout=nan"),
        ({"retries": -1}, "retries=-1"),
        ({"once": True, "retries": 1}, "once=True goes with neither retries= nor local=True"),
        ({"once": True, "local": True}, "once=True goes with neither retries= nor local=True"),
        ({"name": "two words"}, "'two words' is no tool name"),
        ({"name": "größe"}, "no tool name"),
        ({"name": "a" * 65}, "1 to 64"),
        ({"name": "line\n"}, "no tool name"),
        ({"name": "a.b"}, "name='...'"),
    ],
)
def test_wrong_option(options, piece):
    with pytest.raises(ToolDefinitionError) as caught:
        Tool(plain, **options)
    assert piece in str(caught.value)


@pytest.mark.parametrize("options", [{"timeout": "5"}, {"retries": 1.5}, {"retries": "1"}])
def test_option_of_a_wrong_type(options):
    with pytest.raises(ToolDefinitionError, match=next(iter(options))):
        Tool(plain, **options)


@pytest.mark.parametrize("name", ["a", "A-b_9", "x" * 64, "_"])
def test_name_that_providers_accept(name):
    assert Tool(plain, name=name).name == name


async def generator(x: int):
    yield x


def plain_generator(x: int):
    yield x


@pytest.mark.parametrize(
    ("function", "piece"),
    [
        (generator, "'generator' is a generator"),
        (plain_generator, "context.progress"),
        (functools.partial(generator), "is a generator"),
        (staticmethod(plain), "put @tool below @staticmethod"),
        (classmethod(plain), "put @tool below @classmethod"),
        (lambda x: x, "name='...'"),
        ("plain", "it is a str, not a function"),
        (3, "it is a int"),
        (None, "it is a NoneType"),
        (Point(1), "it is a Point"),
        ([plain], "it is a list"),
        (coroutine.__code__, "it is a code"),
        (property(plain), "it is a property"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_a_tool(function, piece):
    with pytest.raises(ToolDefinitionError) as caught:
        Tool(function)
    assert piece in str(caught.value)


def test_repr_and_source():
    assert repr(Tool(plain)) == f"<Tool plain from {__name__}.plain>"
    assert Tool(Kit().plain).source == f"{__name__}.Kit.plain"
    assert Tool(PlainObject()).source == f"{__name__}.PlainObject"
    assert Tool(len).source == f"{builtins.__name__}.len"


# ---- methods


class Counter:
    """A toolkit: its tools are methods."""

    def __init__(self, start: int = 0):
        self.total = start

    @tool(timeout=5, read_only=True)
    def add(self, amount: int) -> int:
        """Add.

        Args:
            amount: How much.
        """
        self.total += amount
        return self.total

    @tool
    async def add_later(self, amount: int, context: Context) -> int:
        self.total += amount
        return self.total

    @tool
    @logged
    async def add_logged(self, amount: int) -> int:
        self.total += amount
        return self.total

    @classmethod
    @tool
    def of_class(cls, amount: int) -> tuple[str, int]:
        return cls.__name__, amount

    @staticmethod
    @tool
    def static(amount: int) -> int:
        return amount

    shared = Tool(plain, name="shared_plain")
    partial = Tool(functools.partial(plain, 4), name="five")
    instance = Tool(PlainObject(), name="instance")
    builtin = Tool(math.sqrt, name="sqrt")


class Slotted:
    __slots__ = ("seen",)

    @tool
    def note(self, x: int) -> int:
        self.seen = x
        return x


class Twice(Counter):
    @tool
    def add(self, amount: int) -> int:
        """Add twice."""
        return Counter.add(self, 2 * amount)


async def test_method_belongs_to_its_instance():
    one, two = Counter(10), Counter(20)
    assert await one.add.run({"amount": "1"}) == 11
    assert await two.add.run({"amount": 2}) == 22
    assert one.add(1) == 12
    assert await one.add_later.run({"amount": 3}) == 15
    assert await one.add_logged.run({"amount": 1}) == 16
    assert (one.total, two.total) == (16, 22)


def test_method_keeps_what_it_is():
    bound, unbound = Counter().add, Counter.add
    assert isinstance(bound, Tool)
    assert isinstance(unbound, Tool)
    assert (bound.name, bound.__name__, bound.description) == ("add", "add", "Add.")
    assert (bound.timeout, bound.read_only, bound.is_async) == (5, True, False)
    assert Counter().add_later.is_async
    assert Counter().add_logged.is_async
    assert list(bound.parameters["properties"]) == ["amount"]
    assert bound.parameters["properties"]["amount"]["description"] == "How much."
    assert unbound.function is Counter.__dict__["add"].function
    assert list(inspect.signature(bound).parameters) == ["amount"]


async def test_overridden_method():
    kit = Twice(1)
    assert await kit.add.run({"amount": 2}) == 5
    assert kit.add.description == "Add twice."
    assert kit.add.timeout is None


async def test_class_and_static_methods():
    assert Counter.of_class(1) == ("Counter", 1)
    assert Twice().of_class(1) == ("Twice", 1)
    assert await Counter.static.run({"amount": "2"}) == 2
    assert await Counter().static.run({"amount": "2"}) == 2
    agent = ReactAgent([Counter.of_class, Counter().static], model=lambda *_: None)
    assert await agent.tools["of_class"].run({"amount": "3"}) == ("Counter", 3)
    assert await agent.tools["static"].run({"amount": "3"}) == 3


async def test_method_of_a_class_with_slots():
    kit = Slotted()
    assert await kit.note.run({"x": "4"}) == 4
    assert kit.seen == 4


@pytest.mark.parametrize(
    ("name", "arguments", "value"), [("partial", {}, 5), ("instance", {"x": 1}, 2), ("builtin", {"x": 4}, 2)]
)
async def test_tool_that_is_no_method_stays_as_it_is_in_a_class(name, arguments, value):
    """Only functions become methods."""
    assert await getattr(Counter(), name).run(arguments) == value
    assert await getattr(Counter, name).run(arguments) == value


@pytest.mark.parametrize("unbound", [Counter.add, Tool(Kit.plain), Tool(Kit.decorated), Tool(str.upper)], ids=str)
def test_method_without_an_instance_is_refused(unbound):
    with pytest.raises(ConfigurationError, match=r"is a method of a class: pass it from an instance, such as \w+\("):
        ReactAgent([unbound], model=lambda *_: None)


@pytest.mark.parametrize("bound", [Counter().add, Tool(Kit().plain), Counter.static, Tool(plain), Tool(AsyncObject())])
def test_function_and_bound_method_are_accepted(bound):
    check_unbound(bound)


# ---- in a run


async def test_ten_synchronous_tools_run_at_once(scripted_model):
    barrier = threading.Barrier(10)

    def meet(number: int) -> int:
        barrier.wait(30)
        return number

    model = scripted_model([[call("meet", number=number) for number in range(10)], "met"])
    result = await ReactAgent([meet], model=model).run("meet")
    assert [observation.value for observation in result.steps[0].observations] == list(range(10))


async def test_synchronous_tool_does_not_block_the_loop(scripted_model):
    started, answered = asyncio.Event(), threading.Event()

    def ask(context: Context) -> str:
        context.deps.call_soon_threadsafe(started.set)
        assert answered.wait(30)
        return "answered"

    async def answer():
        await started.wait()
        answered.set()

    agent = ReactAgent([ask], model=scripted_model([call("ask"), "done"]))
    _, result = await asyncio.gather(answer(), agent.run("ask", deps=asyncio.get_running_loop()))
    assert result.steps[0].observations[0].value == "answered"


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "sync"])
async def test_timeout_is_told_to_the_model(scripted_model, asynchronous):
    release = threading.Event()

    async def hang_async():
        await asyncio.Event().wait()

    def hang_sync():
        release.wait(30)

    function = hang_async if asynchronous else hang_sync
    model = scripted_model([call("hang"), "never mind"])
    try:
        result = await ReactAgent([Tool(function, name="hang", timeout=0.01)], model=model).run("hang")
    finally:
        release.set()
    assert result.output == "never mind"
    assert result.steps[0].observations[0].error == (
        f"TimeoutError: the tool took longer than 0.01 s and {'was stopped' if asynchronous else GOES_ON}"
    )
    assert model.requests[1].messages[-1].text == result.steps[0].observations[0].error


@pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "sync"])
@pytest.mark.parametrize(("retries", "calls", "answered"), [(0, 1, False), (1, 2, False), (2, 3, True), (5, 3, True)])
async def test_retries(monkeypatch, scripted_model, asynchronous, retries, calls, answered):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.0)
    attempts = []

    def flaky_sync():
        attempts.append(1)
        if len(attempts) < 3:
            raise Odd(f"attempt {len(attempts)}")
        return "at last"

    async def flaky_async():
        return flaky_sync()

    function = flaky_async if asynchronous else flaky_sync
    agent = ReactAgent(
        [Tool(function, name="flaky", retries=retries)], model=scripted_model([call("flaky"), "so it is"])
    )
    async with agent.stream("try") as run:
        told = [event async for event in run if isinstance(event, Retry)]
    assert len(attempts) == calls
    assert [(event.what, event.attempt) for event in told] == [("flaky", number) for number in range(2, calls + 1)]
    observation = run.result.steps[0].observations[0]
    if answered:
        assert (observation.value, observation.error) == ("at last", None)
    else:
        assert (observation.value, observation.error) == (None, f"Odd: attempt {calls}")


async def test_wrong_arguments_are_not_retried(scripted_model):
    model = scripted_model([call("plain", x="a"), "I see"])
    async with ReactAgent([Tool(plain, retries=5)], model=model).stream("go") as run:
        events = [event async for event in run]
    assert not [event for event in events if isinstance(event, Retry)]
    assert "x: Input should be a valid integer" in model.requests[1].messages[-1].text


async def test_retried_tool_has_its_timeout_for_each_attempt(monkeypatch, scripted_model):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.0)
    attempts = []

    async def slow_at_first():
        attempts.append(1)
        if len(attempts) < 3:
            await asyncio.Event().wait()
        return "quick"

    model = scripted_model([call("slow_at_first"), "done"])
    result = await ReactAgent([Tool(slow_at_first, timeout=0.01, retries=2)], model=model).run("go")
    assert result.steps[0].observations[0].value == "quick"


async def test_exclusive_tool_runs_alone(scripted_model):
    running, most = 0, {}

    async def work(name: str, loops: int = 20):
        nonlocal running
        running += 1
        for _ in range(loops):
            most[name] = max(most.get(name, 0), running)
            await asyncio.sleep(0)
        running -= 1

    tools = [Tool(work, name="free"), Tool(work, name="alone", exclusive=True)]
    calls = [
        call("free", name="a"),
        call("free", name="b"),
        call("alone", name="c"),
        call("alone", name="d"),
        call("free", name="e"),
        call("free", name="f"),
    ]
    result = await ReactAgent(tools, model=scripted_model([calls, "done"])).run("work")
    assert [observation.error for observation in result.steps[0].observations] == [None] * 6
    assert most == {"a": 2, "b": 2, "c": 1, "d": 1, "e": 2, "f": 2}


@pytest.mark.parametrize(
    "value",
    [Point(1, 2), Answer(text="yes"), [1, 2], {"a": object}, "text", 0, None, "", False],
    ids=lambda value: type(value).__name__,
)
async def test_returned_answer_is_the_output_as_it_is(scripted_model, value):
    async def give():
        return value

    result = await ReactAgent([Tool(give, returns_answer=True)], model=scripted_model([call("give")])).run("give")
    assert result.output is value
    assert result.state == "success"
    assert len(result.steps) == 1


async def test_answer_of_the_first_returning_call_in_call_order(scripted_model):
    second = asyncio.Event()

    async def give(number: int):
        if number == 1:
            await second.wait()
        second.set()
        return number

    model = scripted_model([[call("give", number=1), call("give", number=2)]])
    result = await ReactAgent([Tool(give, returns_answer=True)], model=model).run("give")
    assert result.output == 1


async def test_failing_returning_tool_does_not_end_the_run(scripted_model):
    async def give(x: int):
        raise Odd("no")

    model = scripted_model([call("give", x=1), call("give", x="a"), "my own words"])
    result = await ReactAgent([Tool(give, returns_answer=True)], model=model, limits=Limits(steps=5)).run("give")
    assert result.output == "my own words"


async def test_read_only_changes_nothing_in_the_call(scripted_model):
    model = scripted_model([call("plain", x=1), "done"])
    result = await ReactAgent([Tool(plain, read_only=True)], model=model).run("go")
    assert result.steps[0].observations[0].value == 2


async def test_tool_of_a_run_is_cancelled_with_it(scripted_model):
    started, cleaned = asyncio.Event(), []

    async def hang():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    run = asyncio.create_task(ReactAgent([hang], model=scripted_model([call("hang")])).run("hang"))
    await started.wait()
    run.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await run
    assert run.cancelled()
    assert cleaned == [True]


async def test_abandoned_thread_does_not_hold_up_the_run(scripted_model):
    release, started = threading.Event(), threading.Event()

    def hang():
        started.set()
        release.wait(30)

    run = asyncio.create_task(ReactAgent([hang], model=scripted_model([call("hang")])).run("hang"))
    try:
        assert await asyncio.to_thread(started.wait, 30)
        run.cancel()
        async with asyncio.timeout(20):
            await asyncio.wait([run])
        assert run.cancelled()
    finally:
        release.set()


# ---- under another name, and shown


class Tally:
    def __init__(self):
        self.total = 0

    @tool(
        timeout=5, retries=1, exclusive=True, read_only=True, returns_answer=True, eager=False, shown=True, local=True
    )
    def count(self, by: int) -> int:
        """Count on.

        Args:
            by: How far.
        """
        self.total += by
        return self.total


def test_a_renamed_tool_is_the_same_under_another_name():
    tally = Tally()
    before = tally.count
    after = before.renamed("count_on")
    assert (after.name, after.__name__, before.name, tally.count.name) == ("count_on", "count_on", "count", "count")
    assert (after.parameters, after.description, after.source) == (before.parameters, before.description, before.source)
    options = ("timeout", "retries", "exclusive", "read_only", "returns_answer", "eager", "shown", "local", "is_async")
    assert [getattr(after, option) for option in options] == [getattr(before, option) for option in options]
    assert after.definition["function"]["name"] == "count_on"
    assert (after(by=2), before(by=3), tally.total) == (2, 5, 5)
    assert repr(after).startswith("<Tool count_on from ")


async def test_a_renamed_tool_tells_mistakes_under_its_name():
    after = Tally().count.renamed("count_on")
    assert await after.run({"by": 2}) == 2
    with pytest.raises(ToolArgumentsError, match="do not fit the tool 'count_on'"):
        await after.run({"by": "far"})


def test_an_unbound_tool_can_be_renamed_and_bound_later():
    class Other(Tally):
        count_on = Tally.count.renamed("count_on")

    other = Other()
    assert (other.count_on(by=2), other.total, other.count_on.name) == (2, 2, "count_on")


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ä", "x" * 65, "a\n"])
def test_a_tool_is_renamed_only_to_a_name_of_a_tool(name):
    with pytest.raises(ToolDefinitionError, match="is no tool name"):
        Tool(plain).renamed(name)


def test_a_tool_is_not_shown_unless_it_says_so():
    assert not Tool(plain).shown
    assert Tool(plain, shown=True).shown
    assert Tally().count.shown


# ---- mistakes that would be silent


@pytest.mark.parametrize("make", [Tool, tool, lambda cls: collect([cls])], ids=["Tool", "@tool", "tools=[...]"])
def test_a_class_whose_objects_are_called_is_no_tool(make):
    class Search:
        """Search."""

        def __init__(self, url: str = ""):
            self.url = url

        def __call__(self, query: str) -> str:
            """Search."""
            return query

    class Better(Search):
        """Search better."""

    for cls in (Search, Better):
        with pytest.raises(
            ToolDefinitionError, match=rf"is a class whose objects are to be called.*{cls.__name__}\(\.\.\.\)"
        ):
            make(cls)
    assert Tool(Search())("tea") == "tea"
    assert Tool(Answer)(text="a") == Answer(text="a")  # a class that is made is a tool


@pytest.mark.parametrize("name", ["context", "ctx"])
def test_a_context_without_annotation_is_refused_in_words(name):
    scope = {}
    exec(f"def search(query: str, {name}): 'Search.'\ndef find(query: str, *, {name}=None): 'Find.'", scope)
    for function in (scope["search"], scope["find"]):
        with pytest.raises(ToolDefinitionError, match=rf"Write '{name}: Context' .* such as '{name}: str'"):
            Tool(function)


async def test_a_context_with_another_annotation_is_the_models_to_fill_in():
    def search(context: str) -> str:
        """Search."""
        return context

    assert await Tool(search).run({"context": "a"}) == "a"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", [Tool, tool, lambda function: ReactAgent([function], model=ScriptedModel([]))])
def test_a_tool_without_description_is_a_warning_at_the_users_line(make):
    def search(query: str):
        return query

    with pytest.warns(UserWarning, match="'search' has no description.*docstring.*@tool\\(description=") as caught:
        make(search)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.filterwarnings("error")
def test_a_tool_that_says_what_it_is_has_no_warning():
    def search(query: str):
        return query

    def documented(query: str):
        """Search."""

    class Kit:
        """Some."""

        @tool
        def find(self, query: str):
            """Find."""

    Tool(search, description="Search.")
    Tool(search, description="")  # on purpose
    tool(description="Search.")(search)
    ReactAgent([documented, Kit()], model=ScriptedModel([]))


def test_only_arguments_are_no_description():
    def search(query: str):
        """
        Args:
            query: What.
        """

    with pytest.warns(UserWarning, match="'search' has no description"):
        Tool(search)


@pytest.mark.parametrize("kind", [dataclasses.make_dataclass("Made", [("x", int)]), type("Model", (BaseModel,), {})])
def test_what_a_library_says_of_its_classes_is_no_description(kind):
    with pytest.warns(UserWarning, match="has no description"):
        assert Tool(kind).description == ""


def _greet() -> str:
    return "hello"


@pytest.mark.parametrize(
    "value",
    [_greet, lambda: 1, len, [].append, functools.reduce, Answer(text="a").model_dump],
    ids=lambda value: type(value).__name__,
)
async def test_a_tool_that_returns_a_function_is_told(value):
    def give():
        """Give."""
        return value

    result = await ReactAgent([give], model=ScriptedModel([call("give"), "done"])).run("Give.")
    [seen] = result.steps[0].observations
    assert seen.error.startswith("TypeError: the tool 'give' returned <")
    assert seen.error.endswith(">: it should call it and return what it gives")


async def test_a_function_may_be_the_output_of_a_run():
    give = Tool(lambda: _greet, name="give", description="Give.", returns_answer=True)
    assert (await ReactAgent([give], model=ScriptedModel([call("give")])).run("Give.")).output is _greet
