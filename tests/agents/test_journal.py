"""What is recorded of a run, and how it is answered from there."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import pytest

from tinyagent import Call, ConfigurationError, Limits, MemoryStore, Middleware, ReactAgent, Reply, Tool, Usage
from tinyagent.agents.journal import Journal
from tinyagent.core import waiting
from tinyagent.errors import FatalToolError, ScriptError, StoreError, TokenLimitReached
from tinyagent.sandbox import Opaque
from tinyagent.testing import RawStream, ScriptedModel, ScriptedServer, call


async def add(a: int, b: int) -> int:
    """Add."""
    return a + b


#: What is recorded of every run besides its calls: what it is to do, its agent, how it ended.
OF_RUN = ("r/start", "r/1/agent", "r/end")


class Unclaimed(MemoryStore):
    """A store that lets two processes work on one run, as one whose claims were lost would."""

    @contextlib.asynccontextmanager
    async def claim(self, run):
        yield True


async def test_every_call_of_a_run_is_recorded_under_its_name():
    calls = call("add", a=1, b=2), call("add", a=3, b=4), call("add", a="x", b=1)
    model = ScriptedModel([list(calls), call("unknown"), "done"])
    store = MemoryStore()
    result = await ReactAgent([add], model=model).run("go", run_id="r", store=store)
    assert result.output == "done"
    records = await store.load("r")
    assert sorted(key for key in records if not key.endswith("/begun")) == sorted(
        [*OF_RUN, "r/1/model", *(f"r/1/tool/{each.id}" for each in calls), "r/2/model", "r/3/model"]
    )
    assert json.loads(records[f"r/1/tool/{calls[0].id}"].splitlines()[1]) == {"value": 3}


@pytest.mark.parametrize("reverse", [False, True])
async def test_keys_do_not_depend_on_the_order_in_which_work_finishes(reverse):
    finished = {number: asyncio.Event() for number in range(4)}
    order = list(finished)[:: -1 if reverse else 1]

    async def work(number: int) -> int:
        position = order.index(number)
        if position:
            await finished[order[position - 1]].wait()
        finished[number].set()
        return number

    calls = [call("work", number=number) for number in finished]
    store = MemoryStore()
    await ReactAgent([work], model=ScriptedModel([calls, "done"])).run("go", run_id="r", store=store)
    records = await store.load("r")
    texts = [json.loads(records[f"r/1/tool/{calls[number].id}"].splitlines()[0])["text"] for number in finished]
    assert texts == [str(number) for number in finished]


async def test_records_answer_instead_of_the_model_and_the_tools():
    made = []

    async def note(text: str) -> str:
        """Note."""
        made.append(text)
        return text

    store = MemoryStore()
    script = [call("note", text="a"), Reply("done", usage=Usage(1, 20, 3), reasoning="so", reasoning_field="reasoning")]
    first = await ReactAgent([note], model=ScriptedModel(script)).run("go", run_id="r", store=store)
    again = await ReactAgent([note], model=ScriptedModel([])).run("go", run_id="r", store=store)
    assert made == ["a"]
    assert (again.output, again.messages, again.usage) == (first.output, first.messages, first.usage)
    assert again.steps[0].observations == first.steps[0].observations
    other = await ReactAgent([note], model=ScriptedModel(["other"])).run("go", run_id="s", store=store)
    assert other.output == "other"


@dataclass
class Town:
    name: str
    founded: date


def opaque() -> object:
    return object()


@pytest.mark.parametrize(
    "value",
    [
        *(
            "text",
            "",
            None,
            True,
            0,
            1.5,
            float("inf"),
            10**400,
            "\ud800",
            b"\x00\xff",
            Decimal("1.10"),
            date(2026, 1, 1),
        ),
        *((1, 2), {1, 2}, {"a": [1, (2, 3)]}, {1: "x", (2, 3): "y"}, {"!": "set", "v": [1]}, [None, {"b": {}}]),
    ],
    ids=repr,
)
async def test_a_value_comes_back_as_it_was_and_the_model_reads_the_same(value):
    async def give() -> object:
        """Give."""
        return value

    model = ScriptedModel([call("give"), "done"])
    store = MemoryStore()
    first = await ReactAgent([give], model=model).run("go", run_id="r", store=store)
    again = await ReactAgent([give], model=ScriptedModel([])).run("go", run_id="r", store=store)
    [seen], [before] = again.steps[0].observations, first.steps[0].observations
    assert seen == before
    assert type(seen.value) is type(value)
    assert again.messages == first.messages
    assert all(text.encode() for text in (await store.load("r")).values())  # any database takes it


async def test_objects_come_back_as_their_fields_or_their_text():
    values = [Town("Oslo", date(1048, 1, 1)), opaque(), [opaque()]]

    async def give(n: int) -> object:
        """Give."""
        return values[n]

    model = ScriptedModel([[call("give", n=n) for n in range(3)], "done"])
    store = MemoryStore()
    first = await ReactAgent([give], model=model).run("go", run_id="r", store=store)
    again = await ReactAgent([give], model=ScriptedModel([])).run("go", run_id="r", store=store)
    town, thing, things = (seen.value for seen in again.steps[0].observations)
    assert (town.name, town.founded) == ("Oslo", date(1048, 1, 1))
    assert isinstance(thing, Opaque)
    assert isinstance(things[0], Opaque)
    assert again.messages == first.messages


async def test_a_value_that_is_too_large_keeps_its_text():
    async def give() -> list[str]:
        """Give."""
        return ["x" * 1000] * 5000

    store = MemoryStore()
    model = ScriptedModel([call("give"), "done"])
    first = await ReactAgent([give], model=model).run("go", run_id="r", store=store)
    again = await ReactAgent([give], model=ScriptedModel([])).run("go", run_id="r", store=store)
    assert again.messages == first.messages
    assert again.steps[0].observations[0].text == first.steps[0].observations[0].text


class OutOfStockError(LookupError):
    """An error with an initializer of its own."""

    def __init__(self, what, left):
        super().__init__(f"{what}: {left} left")
        self.what = what


class Local(ValueError):
    """One that the program does not know any more."""

    __module__ = "gone"


@pytest.mark.parametrize(
    "error", [ValueError("bad", 3), KeyError("k"), OutOfStockError("tea", 0), Local("lost")], ids=repr
)
async def test_what_a_tool_raised_is_raised_again(error):
    async def fail() -> None:
        """Fail."""
        raise error

    store = MemoryStore()
    model = ScriptedModel([call("fail"), "done"])
    first = await ReactAgent([fail], model=model).run("go", run_id="r", store=store)
    again = await ReactAgent([fail], model=ScriptedModel([])).run("go", run_id="r", store=store)
    [seen], [before] = again.steps[0].observations, first.steps[0].observations
    assert seen == before
    assert str(seen.exception) == str(error)
    assert isinstance(seen.exception, ValueError if isinstance(error, Local) else type(error))
    assert again.messages == first.messages


async def test_a_tool_with_its_retries_is_recorded_once(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.0)
    attempts = []

    async def flaky() -> str:
        """Fail at first."""
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError("once")
        return "fine"

    once = call("flaky")
    store = MemoryStore()
    model = ScriptedModel([once, "done"])
    await ReactAgent([Tool(flaky, retries=1)], model=model).run("go", run_id="r", store=store)
    keys = {*OF_RUN, "r/1/model", f"r/1/tool/{once.id}", "r/2/model"}
    assert set(await store.load("r")) - {f"r/1/tool/{once.id}/begun"} == keys
    assert len(attempts) == 2


async def test_what_ends_the_run_is_no_answer_of_a_tool():
    ended = []

    async def stop() -> str:
        """Stop."""
        if not ended:
            ended.append(1)
            raise FatalToolError("enough")
        return "stopped"

    store = MemoryStore()
    with pytest.raises(FatalToolError):
        await ReactAgent([stop], model=ScriptedModel([call("stop")])).run("go", run_id="r", store=store)
    result = await ReactAgent([stop], model=ScriptedModel(["done"])).run("go", run_id="r", store=store)
    assert result.steps[0].observations[0].value == "stopped"


@pytest.mark.parametrize(
    "reply",
    [
        Reply("hi", finish_reason=None, origin="https://a", extra={"x": [1, None]}, usage=Usage(1, 2, 3, 1, 1)),
        Reply(calls=(Call("add", {"a": 1, "b": 2}, extra={"function": {"s": "sig"}}),), finish_reason="tool_calls"),
        Reply(calls=(Call("add", {}, raw="{}", problem="cut"), Call("add", {"a": 1, "b": float("inf")}))),
        Reply("\ud800 half", reasoning="\udfff"),
        Reply(calls=(Call("add", {"a": 1, "b": 2}, raw='{"b": 2, "a": 1}'),)),
    ],
)
async def test_a_reply_comes_back_as_it_was(reply):
    store = MemoryStore()
    journal = Journal(store, "r", {})

    async def model(request, sink):
        return reply

    class Request:
        key = "r/1/model"

    assert await journal.wrap_model_call(Request, None, model) is reply
    again = Journal(store, "r", await store.load("r"))
    assert await again.wrap_model_call(Request, None, None) == reply


async def test_who_comes_second_takes_the_reply_and_the_values_of_the_first():
    """Two processes work on one run: what was written first stands for both."""
    store = Unclaimed()
    both = asyncio.Barrier(2)

    def agent(name):
        async def pick() -> str:
            """Pick."""
            await both.wait()
            return name

        async def model(request, sink):
            await both.wait()
            if len(request.messages) == 1:
                return Reply(calls=(Call("pick", id=f"c{name}"),))
            return Reply(f"said by {name}")

        return ReactAgent([pick], model=model)

    one, two = await asyncio.gather(*(agent(name).run("go", run_id="r", store=store) for name in "ab"))
    assert one.output == two.output
    assert one.messages == two.messages
    assert one.steps[0].observations == two.steps[0].observations


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"calls": 3}', '{"calls": [], "usage": {"gold": 1}}', "null"])
async def test_a_damaged_record_is_named_and_not_blamed_on_the_model(text):
    store = MemoryStore()
    await store.put("r", "r/1/model", text)
    with pytest.raises(StoreError, match="The store MemoryStore is damaged: what it holds under 'r/1/model'"):
        await ReactAgent(model=ScriptedModel([])).run("go", run_id="r", store=store)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"text": 3}', '{"!": "set", "v": [1]}', "null"])
async def test_a_damaged_value_is_named_and_not_told_to_the_model(text):
    store = MemoryStore()
    made = call("add", a=1, b=2)
    with pytest.raises(ScriptError):
        await ReactAgent([add], model=ScriptedModel([made])).run("go", run_id="r", store=store)
    store._runs["r"][f"r/1/tool/{made.id}"] = text
    with pytest.raises(StoreError, match="is damaged: what it holds under 'r/1/tool/"):
        await ReactAgent([add], model=ScriptedModel(["3"])).run("go", run_id="r", store=store)


async def test_a_store_that_fails_in_an_inner_run_ends_the_outer_one_too():
    """To tell the model, and to record that, would make it the answer for ever."""

    class Full(MemoryStore):
        async def put(self, run, key, text):
            if "/inner" in key:
                raise OSError("disk full")
            return await super().put(run, key, text)

    inner = ReactAgent(model=ScriptedModel(["hello"]), name="inner", description="I.")
    outer = ReactAgent([inner], model=ScriptedModel([call("inner", task="Go."), "it failed"]))
    with pytest.raises(StoreError, match="The store Full failed: OSError: disk full"):
        await outer.run("go", run_id="r", store=Full())


async def test_a_store_that_is_cancelled_from_within_is_named():
    class Confused(MemoryStore):
        async def put(self, run, key, text):
            raise asyncio.CancelledError

    with pytest.raises(StoreError, match="The store Confused failed: CancelledError"):
        await ReactAgent(model=ScriptedModel(["hello"])).run("Go.", store=Confused())


@pytest.mark.parametrize("error", [OSError("gone"), asyncio.CancelledError("gone")])
@pytest.mark.parametrize("moment", ["taken", "given back"])
async def test_a_store_whose_claims_fail_is_named(moment, error):
    class Claims(MemoryStore):
        @contextlib.asynccontextmanager
        async def claim(self, run):
            if moment == "taken":
                raise error
            yield True
            raise error

    with pytest.raises(StoreError, match=r"The store Claims failed: .*gone") as caught:
        await ReactAgent(model=ScriptedModel(["hello"])).run("Go.", store=Claims())
    assert caught.value.result.output == (None if moment == "taken" else "hello")


async def test_cancelling_a_run_that_waits_for_its_store_cancels_it():
    waits = asyncio.Event()

    class Slow(MemoryStore):
        async def put(self, run, key, text):
            waits.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(ReactAgent(model=ScriptedModel(["hello"])).run("Go.", store=Slow()))
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ---- taken up again


class NotTheSame(ValueError):
    """An error whose class makes its objects in a way of its own."""

    def __new__(cls, code, *, left):
        return super().__new__(cls, code)

    def __init__(self, code, *, left):
        super().__init__(code)
        self.left = left

    def __str__(self):
        return f"{self.left} left"


def errors_of_all_kinds():
    class Local(KeyError):
        """One that no module knows."""

    try:
        b"\xff".decode()
    except UnicodeDecodeError as error:
        yield error
    yield from (
        ExceptionGroup("some", [ValueError(1)]),
        NotTheSame(1, left=2),
        Local("k"),
        FileNotFoundError(2, "no", "f"),
    )
    yield from (SyntaxError("bad", ("f", 1, 2, "x")), KeyError("x" * 2_000_000))
    yield ValueError(b"x" * 2_000_000)


@pytest.mark.parametrize("error", [*errors_of_all_kinds()], ids=lambda error: type(error).__name__)
async def test_an_error_of_any_kind_says_the_same_again(error):
    async def fail() -> None:
        """Fail."""
        raise error

    store = MemoryStore()
    first = await ReactAgent([fail], model=ScriptedModel([call("fail"), "ok"])).run("go", run_id="r", store=store)
    again = await ReactAgent([fail], model=ScriptedModel([])).run("go", run_id="r", store=store)
    then, now = first.steps[0].observations[0].exception, again.steps[0].observations[0].exception
    assert (type(now).__name__, str(now)) == (type(then).__name__, str(then))
    assert isinstance(now, next(base for base in type(then).__mro__ if base.__module__ == "builtins"))
    assert again.messages == first.messages


async def test_a_large_value_and_one_of_many_keys_come_back_whole():
    values = [["x" * 1000] * 5000, {number: str(number) for number in range(45_000)}, ["\ud800"] * 30_000]

    async def give(n: int) -> object:
        """Give."""
        return values[n]

    store = MemoryStore()
    script = [[call("give", n=n) for n in range(3)], "ok"]
    await ReactAgent([give], model=ScriptedModel(script)).run("go", run_id="r", store=store)
    again = await ReactAgent([give], model=ScriptedModel([])).run("go", run_id="r", store=store)
    assert [seen.value for seen in again.steps[0].observations] == values


@pytest.mark.parametrize("ends", [RuntimeError, FatalToolError, KeyboardInterrupt], ids=lambda kind: kind.__name__)
async def test_a_call_that_was_cut_short_by_the_end_of_another_has_no_answer(ends):
    class Stop(BaseException):
        """More than an error."""

    kind = Stop if ends is KeyboardInterrupt else ends
    began, again = asyncio.Event(), []

    async def bad() -> str:
        """End the run, once."""
        await began.wait()
        if not again:
            again.append(1)
            raise kind("enough")
        return "fine"

    async def beside() -> str:
        """Take a while, once."""
        began.set()
        if not again:
            await asyncio.Event().wait()
        return "done"

    def model():
        return ScriptedModel(lambda request: "ok" if len(request.messages) > 2 else [call("bad"), call("beside")])

    store = MemoryStore()
    if ends is RuntimeError:
        task = asyncio.create_task(ReactAgent([bad, beside], model=model()).run("go", run_id="r", store=store))
        await began.wait()
        again.append(1)
        task.cancel()
        await asyncio.wait([task])
    else:
        with pytest.raises(kind):
            await ReactAgent([bad, beside], model=model()).run("go", run_id="r", store=store)
    result = await ReactAgent([bad, beside], model=model()).run("go", run_id="r", store=store)
    assert [seen.text for seen in result.steps[0].observations] == ["fine", "done"]


async def test_what_inner_runs_have_used_is_counted_again():
    def said(text, *calls):
        return Reply(text, calls=calls, usage=Usage(1, 100, 10))

    def outer(replies, **options):
        inner = ReactAgent(model=ScriptedModel([said("in")]), name="inner", description="I.")
        return ReactAgent([inner], model=ScriptedModel(replies), **options)

    ask = call("inner", task="t")
    store, whole = MemoryStore(), MemoryStore()
    first = await outer([said("", ask), said("ok")]).run("go", run_id="r", store=whole)
    assert first.usage == Usage(3, 300, 30)
    assert (await outer([]).run("go", run_id="r", store=whole)).usage == first.usage
    with pytest.raises(ScriptError):
        await outer([said("", ask)]).run("go", run_id="r", store=store)
    with pytest.raises(TokenLimitReached):
        await outer([said("ok")], limits=Limits(tokens=200)).run("go", run_id="r", store=store)


async def test_the_same_run_is_not_given_another_task():
    store = MemoryStore()
    agent = ReactAgent([add], model=ScriptedModel(["A"]))
    await agent.run("question A", run_id="r", store=store)
    with pytest.raises(ConfigurationError, match="The run 'r' is recorded with another task, 'question A'"):
        await agent.run("question B", run_id="r", store=store)
    async with agent.stream_tool("add", {"a": 1, "b": 2}, run_id="t", store=store) as run:
        assert (await run.drain()).output == 3
    async with agent.stream_tool("add", {"a": 5, "b": 5}, run_id="t", store=store) as run:
        with pytest.raises(ConfigurationError, match="recorded with another task"):
            await run.drain()


@pytest.mark.parametrize("run_id", ["", 0, ["x"], b"r", "session"])
async def test_what_is_no_id_of_a_run_is_refused(run_id):
    with pytest.raises(ConfigurationError, match="pass text that names the run"):
        await ReactAgent(model=ScriptedModel([])).run("go", run_id=run_id)


async def test_a_call_that_a_middleware_has_changed_is_the_same_again():
    class Twice(Middleware):
        async def wrap_tool_call(self, call, context, call_next):
            return await call_next(replace(call, arguments={"a": 20, "b": 22}), context)

    store = MemoryStore()
    script = [call("add", a=1, b=1), "ok"]
    first = await ReactAgent([add], model=ScriptedModel(script), middleware=[Twice()]).run(
        "go", run_id="r", store=store
    )
    again = await ReactAgent([add], model=ScriptedModel([]), middleware=[Twice()]).run("go", run_id="r", store=store)
    assert again.steps[0].observations == first.steps[0].observations
    assert again.messages == first.messages


async def test_calls_that_had_begun_go_back_with_what_only_their_server_knows():
    """The process dies when its call has ended, and before the reply is recorded."""
    signature = {"google": {"thought_signature": "c2ln"}}
    function = {"name": "add", "arguments": '{"a": 2, "b": 3}'}
    sent = {"index": 0, "id": "c1", "type": "function", "function": function, "extra_content": signature}
    parts = [{"choices": [{"index": 0, "delta": {"tool_calls": [sent]}, "finish_reason": "tool_calls"}]}]
    store = MemoryStore()
    async with ScriptedServer([RawStream(parts), "5", "5"]) as server:
        for _ in range(2):
            async with ReactAgent([add], model=server.model()).stream("go", run_id="r", store=store) as run:
                assert (await run.drain()).output == "5"
            store._runs["r"] = {key: text for key, text in store._runs["r"].items() if not key.endswith("/model")}
        assert len(server.requests) == 3
        bodies = [request.body["messages"] for request in server.requests[1:]]
    assert bodies[1] == bodies[0]
    assert bodies[1][1]["tool_calls"][0]["extra_content"] == signature
