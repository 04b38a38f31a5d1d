"""For every test: no key from the environment, the global registry as it was, and no task left behind.

Tests run on asyncio's event loop, those marked `each_loop` on uvloop's too, and all of them there with `--loop uvloop`.
There are many thousand, most of a few milliseconds: what is done for each is done in as little as it takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import warnings
from collections import Counter

import pytest
from hypothesis import settings

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
    parser.addoption("--slow", action="store_true", help="run the long tests alone: `slow` and generated ones")
    parser.addoption("--loop", choices=("asyncio", "uvloop"), default="asyncio", help="the event loop of all tests")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long, and a short form of it runs always; see `make slow`")
    config.addinivalue_line("markers", "one_in(n): of the test's cases all but one in n are slow")
    examples = 500 if config.getoption("--slow") else 50
    settings.register_profile("tests", max_examples=examples, deadline=None, database=None)
    settings.load_profile("tests")
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
    """Leave out the long tests, or, with `--slow`, all others."""
    cases = Counter()
    chosen, left_out = [], []
    for item in items:
        slow = "slow" in item.keywords
        if marker := item.get_closest_marker("one_in"):
            slow = cases[item.function] % marker.args[0] != 0
            cases[item.function] += 1
        if config.getoption("--slow"):
            slow = not (slow or getattr(item.function, "is_hypothesis_test", False))
        (left_out if slow else chosen).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = sorted(chosen, key=lambda item: item.get_closest_marker("timeout") is None)  # the longest first


@pytest.hookimpl(wrapper=True)
def pytest_collection_finish():
    """Some hundred thousand objects stay from here on: a test that collects garbage need not look through them."""
    yield
    gc.collect()
    gc.freeze()


_tracer = None


def _in_between(*_, **__):
    """Measure coverage of modules, fixtures and tests alone: to follow what pytest does in between takes longer."""
    global _tracer
    before = _tracer, sys.gettrace()
    if type(before[1]).__module__ == "coverage":  # else nothing is measured, or by other means
        _tracer = before[1]
        sys.settrace(None)
    try:
        return (yield)
    finally:
        _tracer = before[0]
        sys.settrace(before[1])


pytest_pycollect_makeitem = pytest.hookimpl(wrapper=True, tryfirst=True)(_in_between)
pytest_runtest_protocol = pytest.hookimpl(wrapper=True, tryfirst=True)(_in_between)


@contextlib.contextmanager
def _traced():
    before = sys.gettrace()
    sys.settrace(_tracer or before)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_fixture_setup():
    with _traced():
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pyfunc_call(pyfuncitem):
    with contextlib.nullcontext() if "untraced" in pyfuncitem.fixturenames else _traced():
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item):
    with contextlib.nullcontext() if "untraced" in item.fixturenames else _traced():
        return (yield)


@pytest.fixture
def untraced():
    """For long tests and those of time: measuring coverage takes several times as long as what it measures."""
    in_threads = threading.gettrace()
    threading.settrace(None)
    yield
    threading.settrace(in_threads)


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
