"""Where records are kept: what every store does."""

import asyncio

import pytest

from tinyagent import ConfigurationError, MemoryStore, ReactAgent, SQLiteStore
from tinyagent.core.store import REDACTED
from tinyagent.errors import StoreError
from tinyagent.testing import ScriptedModel


@pytest.fixture(params=[MemoryStore, SQLiteStore])
def store(request, tmp_path):
    return request.param() if request.param is MemoryStore else SQLiteStore(tmp_path / "agents.db")


async def test_the_first_write_wins(store):
    assert await store.put("r", "r/1/model", "one") is True
    assert await store.put("r", "r/1/model", "one") is False
    assert await store.put("r", "r/1/model", "two") is False
    assert await store.load("r") == {"r/1/model": "one"}


async def test_runs_are_apart_and_what_is_loaded_is_a_copy(store):
    await store.put("r", "key", "one")
    await store.put("s", "key", "two")
    loaded = await store.load("r")
    await store.put("r", "more", "three")
    assert loaded == {"key": "one"}
    assert await store.load("s") == {"key": "two"}
    assert await store.load("unknown") == {}


async def test_records_and_runs_are_in_the_order_in_which_they_came(store):
    for number in reversed(range(20)):
        await store.put(f"run {number}", "first", "")
    for number in range(20):
        assert await store.put("run 7", str(number * 7 % 20), str(number))
    assert list(await store.load("run 7")) == ["first", *(str(number * 7 % 20) for number in range(20))]
    assert list(await store.runs()) == [f"run {number}" for number in reversed(range(20))]


async def test_runs_that_have_a_certain_record_are_left_out(store):
    for run in ("ended", "going on", "None", "elsewhere"):
        await store.put(run, f"{run}/start", "{}")
    await store.put("ended", "ended/end", "{}")
    await store.put("None", "None/None", "{}")
    await store.put("elsewhere", "ended/end", "{}")
    assert list(await store.runs("end")) == ["going on", "None", "elsewhere"]
    assert list(await store.runs()) == ["ended", "going on", "None", "elsewhere"]
    assert list(await store.runs("unknown")) == ["ended", "going on", "None", "elsewhere"]


async def test_what_is_deleted_is_gone_and_may_come_again(store):
    await store.put("r", "key", "one")
    await store.put("s", "key", "two")
    await store.delete("r")
    await store.delete("unknown")
    assert await store.load("r") == {}
    assert await store.load("s") == {"key": "two"}
    assert list(await store.runs()) == ["s"]
    assert await store.put("r", "key", "three") is True
    assert await store.load("r") == {"key": "three"}
    assert list(await store.runs()) == ["s", "r"]


ODD = ["", "\0", "a\0b", "\ud800", "\udfff and \U0001f600", "\ufeff\ufffe", "é" * 100_000, "\r\n\x1a'\"%?/", REDACTED]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
async def test_any_text_comes_back_unchanged(store, odd):
    assert await store.put("r", "key", odd) is True
    assert await store.put("r", f"r/{odd}", "text") is True
    assert await store.put(odd, f"{odd}/end", odd) is True
    assert await store.put(odd, f"{odd}/end", "another") is False
    assert await store.put(f"{odd} 2", f"{odd} 2/{odd}", "text") is True
    assert await store.load("r") == {"key": odd, f"r/{odd}": "text"}
    assert await store.load(odd) == {f"{odd}/end": odd}
    assert list(await store.runs()) == ["r", odd, f"{odd} 2"]
    assert list(await store.runs("end")) == ["r", f"{odd} 2"]
    assert list(await store.runs(odd)) == [odd]
    await store.delete(odd)
    assert list(await store.runs()) == ["r", f"{odd} 2"]


async def test_a_run_is_held_by_one_at_a_time(store):
    async with store.claim("r") as first, store.claim("r") as second, store.claim("s") as other:
        assert (first, second, other) == (True, False, True)
        async with store.claim("r") as third:
            assert third is False
    async with store.claim("r") as again:
        assert again is True


async def test_a_claim_that_was_refused_frees_nothing(store):
    async with store.claim("r"):
        async with store.claim("r") as refused:
            assert refused is False
        async with store.claim("r") as still:
            assert still is False


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, KeyboardInterrupt])
async def test_a_claim_ends_however_its_block_ends(store, error):
    with pytest.raises(error):
        async with store.claim("r"):
            raise error
    async with store.claim("r") as mine:
        assert mine is True


async def test_of_many_that_write_one_key_one_is_first(store):
    answers = await asyncio.gather(*(store.put("r", "key", str(number)) for number in range(50)))
    assert sorted(answers) == [False] * 49 + [True]
    assert await store.load("r") == {"key": str(answers.index(True))}


# -- what is no store


@pytest.mark.parametrize("store", [object(), 7, "runs.db", MemoryStore, {"load": 1}, False, [MemoryStore()]])
async def test_what_is_no_store_is_refused_with_what_to_pass(store):
    agent = ReactAgent(model=ScriptedModel([]))
    with pytest.raises(ConfigurationError, match=r"^store=.*: pass a store, such as SQLiteStore\('agents.db'\)"):
        await agent.run("go", store=store)


@pytest.mark.parametrize("given", [None, [], "text", {"r/1/model": b"{}"}, {1: "{}"}])
async def test_a_store_that_loads_no_records_is_named(given):
    class Wrong(MemoryStore):
        async def load(self, run):
            return given

    with pytest.raises(StoreError, match=r"The store Wrong failed: load\(\) gave .*, and no dict of texts"):
        await ReactAgent(model=ScriptedModel([])).run("go", store=Wrong())


@pytest.mark.parametrize("given", [None, 1, "yes"])
async def test_a_store_that_does_not_say_whether_it_wrote_is_named(given):
    class Silent(MemoryStore):
        async def put(self, run, key, text):
            await super().put(run, key, text)
            return given

    with pytest.raises(StoreError, match=r"The store Silent failed: put\(\) gave .*; it returns True, or False"):
        await ReactAgent(model=ScriptedModel(["hello"])).run("go", store=Silent())


async def test_a_store_that_is_not_asynchronous_is_named():
    class Sync(MemoryStore):
        def load(self, run):
            raise OSError("no disk")

    with pytest.raises(StoreError, match="The store Sync failed: OSError: no disk"):
        await ReactAgent(model=ScriptedModel([])).run("go", store=Sync())
