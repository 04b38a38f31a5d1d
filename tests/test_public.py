"""The public door: what `import tinyagent` offers, and what it costs."""

import ast
import importlib
import importlib.metadata
import inspect
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tinyagent

NAMES = [
    "AgentOptions",
    "Allow",
    "Ask",
    "Call",
    "ConfigurationError",
    "Context",
    "Deny",
    "FatalToolError",
    "InnerEvent",
    "JinaReader",
    "Limits",
    "MCPTools",
    "MemoryStore",
    "Middleware",
    "Model",
    "ModelError",
    "ModelRequest",
    "ModelSettings",
    "MontySandbox",
    "Notice",
    "Observation",
    "OpenAIModel",
    "Planning",
    "ProcessSandbox",
    "PythonExecutor",
    "ReactAgent",
    "Reply",
    "Retry",
    "Return",
    "Run",
    "RunError",
    "RunOptions",
    "RunResult",
    "SQLiteStore",
    "SandboxLimits",
    "Sink",
    "StepFinished",
    "TextDelta",
    "TextVoided",
    "TinyAgentError",
    "TinyCodeAgent",
    "Tool",
    "ToolFinished",
    "ToolStarted",
    "Toolkit",
    "Usage",
    "User",
    "WebBrowser",
    "WebSearch",
    "ask_before",
    "freeze_registry",
    "get_registry",
    "jina_reader",
    "messages_from_json",
    "messages_to_json",
    "printable",
    "resume_all",
    "run_sync",
    "set_thread_limit",
    "tool",
    "web_browse",
    "web_search",
]


def loaded_after(program):
    """The modules in a fresh interpreter after `program`."""
    program = f"{textwrap.dedent(program)}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_names_are_pinned():
    assert tinyagent.__all__ == NAMES


def test_names_are_sorted():
    assert tinyagent.__all__ == sorted(set(tinyagent.__all__))


@pytest.mark.parametrize("name", NAMES)
def test_name_can_be_imported_and_lives_in_tinyagent(name):
    value = getattr(tinyagent, name)
    assert value is getattr(tinyagent, name)
    home = importlib.import_module(f"tinyagent.{tinyagent._HOME[name]}")
    assert value is getattr(home, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__module__.startswith("tinyagent.")
        assert value.__name__ == name


def comment_above(module, name):
    """The `#:` comment above an assignment: what documents an alias."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return lines[node.lineno - 2]
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_name_is_documented(name):
    value = getattr(tinyagent, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
        assert text
        assert text.strip()
        assert not text.startswith(f"{name}("), "dataclass wrote this one"
    else:
        module = importlib.import_module(f"tinyagent.{tinyagent._HOME[name]}")
        assert comment_above(module, name).startswith("#"), f"{name} is an alias: say in a '#:' comment what it is"


@pytest.mark.parametrize("name", [name for name in NAMES if inspect.isclass(getattr(tinyagent, name))])
def test_public_methods_are_documented(name):
    kind = getattr(tinyagent, name)
    for attribute, value in vars(kind).items():
        value = getattr(value, "__func__", value)
        if not attribute.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            assert value.__doc__, f"{name}.{attribute}"


def test_names_are_the_same_for_type_checkers():
    """What is imported `if TYPE_CHECKING` is what loads on first use, from the same modules."""
    tree = ast.parse(Path(tinyagent.__file__).read_text(encoding="utf-8"))
    found = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert found == {name: f"tinyagent.{home}" for name, home in tinyagent._HOME.items()}
    assert sorted(found) == NAMES


@pytest.mark.parametrize("name", ["nothing", "_Tool", "_tool", "core_", "__path", ""])
def test_unknown_attribute(name):
    with pytest.raises(AttributeError) as caught:
        getattr(tinyagent, name)
    assert str(caught.value) == f"module 'tinyagent' has no attribute {name!r}"
    assert not hasattr(tinyagent, name)


def test_unknown_import():
    with pytest.raises(ImportError, match="nothing"):
        from tinyagent import nothing  # noqa: F401


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("ReActAgent", "Did you mean 'ReactAgent'?"),
        ("CodeAgent", "Did you mean 'TinyCodeAgent'?"),
        ("Tools", "Did you mean 'Tool'?"),
        ("Toolz", "Did you mean 'Tool'?"),
        ("FinalAnswer", "Write @tool(returns_answer=True): its value is the run's output."),
        ("AgentExecutor", "Write ReactAgent(tools=[...], model=...)."),
        ("ChatOpenAI", "Write OpenAIModel('gpt-4o-mini', ...)."),
        ("RunContext", "Write Context: a tool's parameter so annotated is filled."),
    ],
)
def test_a_name_of_elsewhere_is_told_with_what_to_write(name, cure):
    with pytest.raises(AttributeError) as caught:
        getattr(tinyagent, name)
    assert str(caught.value) == f"module 'tinyagent' has no attribute {name!r}. {cure}"
    assert not hasattr(tinyagent, name)
    with pytest.raises(ImportError) as caught:
        exec(f"from tinyagent import {name}")
    assert str(caught.value) == f"cannot import name {name!r} from 'tinyagent'. {cure}"
    assert caught.value.name == "tinyagent"


def test_names_of_elsewhere_are_none_of_ours():
    assert not {name for names in tinyagent._ELSEWHERE for name in names.split()} & set(NAMES)


def test_dir_lists_every_name():
    assert set(dir(tinyagent)) >= {*NAMES, "__version__"}
    assert dir(tinyagent) == sorted(dir(tinyagent))


def test_star_import():
    scope = {}
    exec("from tinyagent import *", scope)
    del scope["__builtins__"]
    assert sorted(scope) == NAMES
    assert scope["tool"] is tinyagent.tool


def test_version_is_that_of_the_distribution():
    assert tinyagent.__version__ == importlib.metadata.version("tinyagent")


def test_types_are_shipped():
    assert Path(tinyagent.__file__).with_name("py.typed").is_file()


HEAVY = {"openai", "httpx", "httpx2", "pydantic", "pydantic_core", "anyio", "docstring_parser", "asyncio", "rich"}


@pytest.mark.parametrize(
    "program",
    [
        "import tinyagent",
        "import tinyagent; dir(tinyagent)",
        "import tinyagent; assert not hasattr(tinyagent, 'nothing')",
    ],
)
def test_import_loads_nothing_heavy(program):
    loaded = loaded_after(program)
    assert "tinyagent" in loaded
    assert not loaded & HEAVY
    assert not {name for name in loaded if name.startswith("tinyagent.")}


@pytest.mark.parametrize(
    ("program", "forbidden"),
    [
        ("from tinyagent import tool, Tool", {"openai", "httpx", "httpx2", "pydantic", "anyio"}),
        ("from tinyagent import Limits, Usage, User", {"openai", "httpx", "httpx2", "pydantic", "anyio"}),
        ("from tinyagent import RunResult, TextDelta", {"openai", "httpx", "httpx2", "pydantic", "anyio"}),
        ("from tinyagent import run_sync", {"openai", "httpx", "httpx2", "pydantic", "anyio"}),
        ("from tinyagent import ReactAgent", {"openai", "httpx", "httpx2", "pydantic"}),
        ("from tinyagent import ReactAgent", {"tinyagent.agents.journal", "tinyagent.core.codec", "tinyagent.sandbox"}),
        ("from tinyagent import web_browse", {"openai", "httpx", "httpx2", "turbohtml", "pypdf"}),
        (
            """
            import asyncio
            from tinyagent import tool

            @tool
            def add(a: int, b: int = 2) -> int:
                "Add."
                return a + b

            assert asyncio.run(add.run({"a": "1"})) == 3
            """,
            {"openai", "httpx", "httpx2"},
        ),
    ],
)
def test_names_load_only_what_they_need(program, forbidden):
    assert not loaded_after(program) & forbidden


def test_name_loads_only_its_module():
    loaded = loaded_after("import tinyagent; tinyagent.Limits")
    assert {name for name in loaded if name.startswith("tinyagent.")} == {
        "tinyagent.core",
        "tinyagent.core.door",
        "tinyagent.core.errors",
        "tinyagent.core.limits",
    }
