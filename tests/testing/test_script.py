"""What a script holds, and what is said about one that cannot be read."""

import pytest

from tinyagent import Call, ConfigurationError, Reply
from tinyagent.errors import ScriptError
from tinyagent.testing import CUT, RawReply, RawStream, call
from tinyagent.testing.script import Script, as_reply


async def all_of(script, requests):
    return [await script.next(request) for request in requests]


async def test_a_list_gives_its_items_in_order():
    items = ["a", call("add", a=1), [call("add"), call("sub")], Reply("b"), RawReply(), RawStream([CUT]), OSError()]
    assert await all_of(Script(items), items) == items


async def test_a_function_gives_a_reply_to_each_request():
    assert await all_of(Script(lambda request: request * 2), ["a", "b"]) == ["aa", "bb"]


async def test_functions_may_be_async_stand_in_a_list_and_return_functions():
    async def later(request):
        return lambda again: f"{request}{again}"

    class Callable:
        def __call__(self, request):
            return "object"

    script = Script([later, "b", Callable(), Callable().__call__])
    assert await all_of(script, ["x", "y", "z", "z"]) == ["xx", "b", "object", "object"]


async def test_a_used_up_script_says_so():
    script = Script(["a"])
    await script.next(None)
    with pytest.raises(ScriptError, match=r"has 1 replies, and was asked for one more.*Add a reply"):
        await script.next(None)


async def test_replies_left_over_are_named():
    script = Script(["a", "b", "c"])
    await script.next(None)
    with pytest.raises(AssertionError, match="2 of 3 scripted replies were not used; next: 'b'"):
        script.assert_all_used()
    await all_of(script, [None, None])
    script.assert_all_used()
    assert script.used == 3


async def test_a_function_has_no_replies_left_over():
    Script(lambda request: "a").assert_all_used()


@pytest.mark.parametrize("replies", ["text", call("add"), Reply("a"), {"a": 1}, 7, None])
def test_what_is_no_script_is_refused(replies):
    with pytest.raises(ConfigurationError, match="is no script: pass a list of replies"):
        Script(replies)


@pytest.mark.parametrize("item", [7, None, {"a": 1}, ValueError, ["text"], (call("add"), "text"), lambda request: 7])
async def test_what_is_no_reply_is_refused(item):
    with pytest.raises(ConfigurationError, match="is no scripted reply"):
        await Script([item]).next(None)


def test_call_makes_a_call():
    made = call("add", a=1, tool="x")
    assert (made.name, made.arguments, made.raw) == ("add", {"a": 1, "tool": "x"}, '{"a": 1, "tool": "x"}')
    assert made.id != call("add").id


@pytest.mark.parametrize(
    ("item", "reply"),
    [
        ("a", Reply("a")),
        (Call("add", id="c1"), Reply(calls=(Call("add", id="c1"),), finish_reason="tool_calls")),
        ([Call("add", id="c1")], Reply(calls=(Call("add", id="c1"),), finish_reason="tool_calls")),
        (Reply("a", finish_reason="length"), Reply("a", finish_reason="length")),
    ],
)
def test_an_item_stands_for_a_reply(item, reply):
    assert as_reply(item) == reply


@pytest.mark.parametrize("item", [RawReply(), RawStream([])])
def test_what_is_about_http_needs_a_server(item):
    with pytest.raises(ConfigurationError, match="needs a ScriptedServer"):
        as_reply(item)
