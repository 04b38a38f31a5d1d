"""Where records are kept."""

import pytest

from tinyagent import ConfigurationError, MemoryStore, ReactAgent
from tinyagent.errors import StoreError
from tinyagent.testing import ScriptedModel


async def test_the_first_write_wins():
    store = MemoryStore()
    assert await store.put("r", "r/1/model", "one") is True
    assert await store.put("r", "r/1/model", "one") is False
    assert await store.put("r", "r/1/model", "two") is False
    assert await store.load("r") == {"r/1/model": "one"}


async def test_runs_are_apart_and_what_is_loaded_is_a_copy():
    store = MemoryStore()
    await store.put("r", "key", "one")
    await store.put("s", "key", "two")
    loaded = await store.load("r")
    await store.put("r", "more", "three")
    assert loaded == {"key": "one"}
    assert await store.load("s") == {"key": "two"}
    assert await store.load("unknown") == {}


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
