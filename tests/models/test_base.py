"""Trying a model call again: how long it waits, how often, and never beyond the run's time."""

import asyncio

import pytest

from tinyagent import Limits, ModelError, ModelRequest, OpenAIModel, ReactAgent, Reply, Retry, Usage, User
from tinyagent.core import waiting
from tinyagent.errors import (
    BadRequestError,
    ConfigurationError,
    ModelTimeoutError,
    RateLimitError,
    ServerError,
    TimeLimitReached,
)
from tinyagent.messages import Conversation
from tinyagent.models import base
from tinyagent.models.base import NullSink, Retries, backoff
from tinyagent.testing import CUT, RawReply, RawStream, ScriptedServer, call


def busy(status=503, **headers):
    return RawReply({"error": {"message": "busy"}}, status, {name.replace("_", "-"): v for name, v in headers.items()})


async def ask(*replies, limits=None, **model):
    """The retries of a streamed run, and its output."""
    async with asyncio.timeout(20), ScriptedServer(replies) as server:
        agent = ReactAgent(model=server.model(**model), limits=limits)
        async with agent.stream("Hi") as run:
            retries = [event async for event in run if isinstance(event, Retry)]
        return retries, run.result.output


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.001)


# ---- how long


def test_the_wait_doubles_up_to_a_longest(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 0.5)
    for number, longest in enumerate([0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0], 1):
        waits = [backoff(number) for _ in range(200)]
        assert 0.75 * longest <= min(waits) < max(waits) <= longest


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"retry_after": "0.01"}, 0.01), ({"retry_after_ms": "10", "retry_after": "50"}, 0.01)]
)
@pytest.mark.parametrize("status", [429, 503])
async def test_the_servers_wait_goes_before_our_own(status, headers, seconds):
    (event,), output = await ask(busy(status, **headers), "hello")
    assert (event.attempt, event.seconds, output) == (2, seconds, "hello")


@pytest.mark.parametrize("wait", ["61", "86400", "inf"])
async def test_a_server_that_asks_for_too_long_is_not_waited_for(wait):
    with pytest.raises(RateLimitError, match="busy") as caught:
        await ask(busy(429, retry_after=wait))
    assert caught.value.retry_after == float(wait)


async def test_the_longest_wait_is_a_constant(monkeypatch):
    monkeypatch.setattr(base, "LONGEST_WAIT", 0.005)
    with pytest.raises(RateLimitError):
        await ask(busy(429, retry_after="0.01"))
    assert (await ask(busy(429, retry_after="0.004"), "hello"))[1] == "hello"


# ---- how often


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_a_failed_call_is_tried_again_so_many_times(retries):
    with pytest.raises(ServerError):
        await ask(*[busy()] * (retries + 1), max_retries=retries)
    events, output = await ask(*[busy()] * retries, "hello", max_retries=retries)
    assert [event.attempt for event in events] == list(range(2, retries + 2))
    assert output == "hello"


async def test_two_retries_are_the_default():
    with pytest.raises(ServerError):
        await ask(busy(), busy(), busy())


async def test_each_call_of_a_run_has_retries_of_its_own():
    events, output = await ask(busy(), busy(), call("gone"), busy(), busy(), "hello")
    assert [event.attempt for event in events] == [2, 3, 2, 3]
    assert output == "hello"


async def test_an_event_says_what_failed_and_how_long_it_waits():
    ((event,), _) = await ask(busy(), "hello")
    assert event.what == "model"
    assert 0 < event.seconds <= 0.001
    assert event.reason.startswith("ServerError: ")
    assert "busy" in event.reason


@pytest.mark.parametrize(
    "bad",
    [
        busy(408),
        busy(409),
        busy(429),
        busy(500),
        busy(529),
        RawReply({"choices": []}),
        RawStream([]),
        RawStream([CUT]),
        RawStream([{"choices": [{"delta": {"content": "hel"}}]}]),
    ],
)
async def test_what_may_pass_is_tried_again(bad):
    events, output = await ask(bad, "hello")
    assert (len(events), output) == (1, "hello")


@pytest.mark.parametrize("bad", [busy(400), busy(401), busy(404), RawReply("<html>"), RawStream([{"error": "no"}])])
async def test_what_will_not_pass_is_not_tried_again(bad):
    with pytest.raises(ModelError) as caught:
        await ask(bad)
    assert not caught.value.retryable


async def test_the_server_may_say_that_a_retry_is_no_use():
    with pytest.raises(ServerError) as caught:
        await ask(busy(500, x_should_retry="false"))
    assert not caught.value.retryable


async def test_the_server_may_say_that_a_retry_is_of_use():
    assert len((await ask(busy(400, x_should_retry="true"), "hello"))[0]) == 1
    with pytest.raises(BadRequestError):
        await ask(busy(400, x_should_retry="perhaps"))


async def test_an_account_without_credit_is_not_asked_again():
    body = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    with pytest.raises(RateLimitError, match="no credit left") as caught:
        await ask(RawReply(body, 429))
    assert not caught.value.retryable


# ---- the run's time


async def test_a_wait_beyond_the_runs_time_is_not_begun():
    with pytest.raises(RateLimitError) as caught:
        await ask(busy(429, retry_after="50"), limits=Limits(seconds=30))
    assert caught.value.retry_after == 50


async def test_our_own_wait_is_bounded_by_the_runs_time_too(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 50.0)
    monkeypatch.setattr(waiting, "LONGEST_BACKOFF", 50.0)
    with pytest.raises(ServerError):
        await ask(busy(), limits=Limits(seconds=30))


async def test_a_wait_within_the_runs_time_is_made():
    assert (await ask(busy(429, retry_after="0.01"), "hello", limits=Limits(seconds=30)))[1] == "hello"


async def test_leaving_a_run_ends_its_wait(monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_BACKOFF", 50.0)
    monkeypatch.setattr(waiting, "LONGEST_BACKOFF", 50.0)
    async with asyncio.timeout(20), ScriptedServer([busy()]) as server:
        async with ReactAgent(model=server.model()).stream("Hi") as run:
            async for event in run:
                if isinstance(event, Retry):
                    break
        assert run.result.state == "cancelled"


async def test_a_slow_server_is_ended_by_the_runs_time_whatever_the_timeout():
    with pytest.raises(TimeLimitReached):
        await ask(RawReply({}, delay=60), limits=Limits(seconds=0.2))


async def test_a_timeout_is_tried_again_within_the_runs_time():
    slow = RawReply({}, delay=60)
    events, output = await ask(slow, "hello", timeout=0.5, limits=Limits(seconds=30))
    assert (len(events), output) == (1, "hello")
    with pytest.raises(ModelTimeoutError):
        await ask(slow, slow, timeout=0.1, max_retries=1)


# ---- around a model of one's own


class Flaky:
    """A model that fails so often before it answers, and counts how often it is entered."""

    def __init__(self, failures, **details):
        self.left, self.details, self.asked, self.entered = failures, details, 0, 0

    async def __call__(self, request, sink):
        self.asked += 1
        self.left -= 1
        if self.left >= 0:
            raise ModelError("busy", **{"retryable": True, **self.details})
        return Reply("hello", usage=Usage(requests=1, input_tokens=5))

    async def __aenter__(self):
        self.entered += 1

    async def __aexit__(self, *_):
        self.entered -= 1


REQUEST = ModelRequest(Conversation([User("Hi")]))


async def test_any_model_can_be_tried_again():
    model = Flaky(2)
    assert (await Retries(model)(REQUEST, NullSink())).text == "hello"
    assert model.asked == 3
    with pytest.raises(ModelError, match="busy"):
        await Retries(Flaky(2), 1)(REQUEST, NullSink())


async def test_what_failed_attempts_cost_is_counted():
    model = Flaky(1, partial=Reply("hel", usage=Usage(requests=1, input_tokens=3)))
    assert (await Retries(model)(REQUEST, NullSink())).usage == Usage(requests=1, input_tokens=8)


async def test_it_opens_the_connections_of_its_model_and_has_its_name():
    model = Flaky(0)
    async with Retries(model) as retries:
        assert (retries.name, model.entered) == ("Flaky", 1)
    assert model.entered == 0
    async with Retries(model.__call__):
        assert model.entered == 0, "a function has none"
    assert repr(Retries(OpenAIModel("m"), 3)) == "Retries(OpenAIModel('m'), 3)"


@pytest.mark.parametrize("wrong", [-1, 1.5, None])
def test_a_number_of_retries_must_be_one(wrong):
    with pytest.raises(ConfigurationError, match=r"max_retries=.*: pass 0 or more"):
        Retries(Flaky(0), wrong)


async def test_a_wrapper_inside_sees_every_attempt():
    attempts = []
    async with asyncio.timeout(20), ScriptedServer([busy(), busy(), "hello"]) as server:
        model = server.model(max_retries=0)

        async def counted(request, sink):
            attempts.append(request)
            return await model(request, sink)

        agent = ReactAgent(model=Retries(counted, 2))
        assert (await agent.run("Hi")).output == "hello"
        assert len(attempts) == 3


async def test_the_retries_of_a_model_can_be_put_around_it_again():
    attempts = []
    async with asyncio.timeout(20), ScriptedServer([busy(), "hello"]) as server, server.model() as model:

        async def counted(request, sink):
            attempts.append(request)
            return await model.retries.model(request, sink)

        assert (await Retries(counted, model.retries.max_retries)(REQUEST, NullSink())).text == "hello"
        assert len(attempts) == 2
