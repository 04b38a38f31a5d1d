"""For every test: no key from the environment, the global registry as it was, and no task left behind.

Tests run on asyncio's event loop, those marked `each_loop` on uvloop's too, and all of them there with `--loop uvloop`.
There are many thousand, most of a few milliseconds: what is done for each is done in as little as it takes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import warnings

import pytest

from tinyagent.core.registry import get_registry

pytest_plugins = ["tinyagent.testing.fixtures"]

#: What in the environment would make a test leave this machine.
KEYS = (
    *("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"),
    *("TINYAGENT_SEARCH", "TINYAGENT_SEARCH_URL", "TAVILY_API_KEY", "BRAVE_API_KEY", "BRAVE_SEARCH_API_KEY"),
    *("EXA_API_KEY", "SERPER_API_KEY", "SEARXNG_URL", "SEARXNG_API_BASE", "JINA_API_KEY", "JINA_READER_URL"),
)
#: Turns of the event loop that tasks already on their way out may take: enough for callbacks, nothing for a leak.
LAST_TURNS = 50


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the long tests, marked `slow`, not the others")
    parser.addoption("--loop", choices=("asyncio", "uvloop"), default="asyncio", help="the event loop of all tests")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long, and a short form of it runs always; see `make slow`")
    config.addinivalue_line("markers", "each_loop: runs on asyncio's event loop and on uvloop's")
    if config.getoption("--loop") == "uvloop":
        import uvloop

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.14; asyncio.run() takes it from there
            asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def pytest_asyncio_loop_factories(config, item):
    own = {"asyncio": asyncio.ProactorEventLoop if sys.platform == "win32" else asyncio.SelectorEventLoop}
    if item.get_closest_marker("each_loop") is None or config.getoption("--loop") == "uvloop":
        return {"asyncio": asyncio.new_event_loop}
    if sys.platform == "win32":  # which has no uvloop
        return own
    import uvloop

    return {**own, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_works():
    """Background jobs of a shell inherit that SIGINT is ignored, and would hand it on to what tests start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_collection_modifyitems(config, items):
    slow = config.getoption("--slow")
    left_out = [item for item in items if ("slow" in item.keywords) != slow]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if ("slow" in item.keywords) == slow]


@pytest.hookimpl(wrapper=True)
def pytest_collection_finish():
    """Some hundred thousand objects stay from here on: a test that collects garbage need not look through them."""
    yield
    gc.collect()
    gc.freeze()


_tracer = None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol():
    """Measure coverage in fixtures and tests alone: to follow what pytest does in between takes longer than most."""
    global _tracer
    tracer = sys.gettrace()
    if type(tracer).__module__ != "coverage":  # nothing is measured, or by other means
        return (yield)
    _tracer = tracer
    sys.settrace(None)
    try:
        return (yield)
    finally:
        _tracer = None
        sys.settrace(tracer)


def _traced():
    before = sys.gettrace()
    sys.settrace(_tracer)
    try:
        return (yield)
    finally:
        sys.settrace(before)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_fixture_setup():
    return (yield) if _tracer is None else (yield from _traced())


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pyfunc_call(pyfuncitem):
    return (yield) if _tracer is None or "untraced" in pyfuncitem.fixturenames else (yield from _traced())


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown():
    return (yield) if _tracer is None else (yield from _traced())


@pytest.fixture
def untraced():
    """For tests of how long something takes: measuring coverage takes several times as long as what it measures."""


@pytest.fixture(scope="session", autouse=True)
def _no_key():
    for name in KEYS:
        os.environ.pop(name, None)


@pytest.fixture
def own_home(monkeypatch, tmp_path):
    """A home for programs that write to it, such as Jupyter: the user's own may be missing, and is not ours."""
    for name in ("HOME", "USERPROFILE", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def _same_afterwards(request):
    """Whatever a test adds to the global registry ends with it, and no task is left behind.

    It is set up before the test's other fixtures, so that it looks after they have cleaned up.
    """
    registry = get_registry()
    tools, frozen = dict(registry._tools), registry.frozen
    runner = request.getfixturevalue("_function_scoped_runner") if "asyncio" in request.node.keywords else None
    yield
    registry._tools, registry._frozen = tools, frozen
    if runner and asyncio.all_tasks(runner.get_loop()):
        runner.run(_last_turns())


async def _last_turns():
    for _ in range(LAST_TURNS):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0)
    pytest.fail(f"{len(left)} tasks were left behind: {sorted(map(repr, left))}")
