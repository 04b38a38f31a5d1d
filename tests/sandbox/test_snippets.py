"""Everyday Python in the sandbox gives what plain Python of the same version gives: the snippets of snippets.py."""

import ast
import asyncio
import builtins
import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sandbox.snippets import SNIPPETS, Snippet
from tinyagent.core.result import Execution
from tinyagent.sandbox.process import ProcessSandbox

only_here = pytest.mark.skipif(ProcessSandbox.reason_against() is not None, reason="no process sandbox here")

#: `-u`: what is written to either stream is there in order. Strings hash as they do in the sandbox.
PLAIN_PYTHON = [sys.executable, "-P", "-s", "-B", "-u", "-X", "utf8", str(Path(__file__).with_name("plain_python.py"))]
ENVIRONMENT = {"PYTHONHASHSEED": "0"}
#: What differs, and why it may: the files of the library itself are not there to be read.
DIFFERENT = {
    "print-exc-with-library-frames": "the lines of the library's own code are not shown",
    "import-reload": "a module of the library cannot be imported anew",
}
#: What differs when a block comes statement by statement, because the loop goes on in between.
DIFFERENT_IN_PIECES = {
    "create-task-and-await": "tasks begin before the next statement",
    "async-task-factory-names": "a statement that awaits nothing has no running loop",
    "never-awaited-warning": "the warning does not know the line",
}
#: Kinds of syntax, each with its own classes below.
FAMILIES = (ast.stmt, ast.expr, ast.pattern, ast.operator, ast.boolop, ast.cmpop, ast.unaryop)
#: Built-in functions that are for people at a terminal.
INTERACTIVE = {"breakpoint", "copyright", "credits", "license"}

Told = dict[str, str | None]


@pytest.fixture(scope="module")
def plain(request: pytest.FixtureRequest) -> dict[str, list[Told]]:
    """What plain Python gives for the snippets that are to be tested."""
    items = [item for item in request.session.items if "plain" in getattr(item, "fixturenames", ())]
    wanted = list({item.callspec.params["snippet"]: None for item in items})
    blocks = json.dumps([snippet.blocks for snippet in wanted])
    run = subprocess.run(PLAIN_PYTHON, input=blocks, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert not run.stderr
    return dict(zip((snippet.name for snippet in wanted), json.loads(run.stdout), strict=True))


def cases(snippets: list[Snippet], different: dict[str, str]) -> pytest.MarkDecorator:
    """The snippets as parameters; those of `different` must differ."""
    marks = {name: pytest.mark.xfail(reason=reason) for name, reason in different.items()}
    return pytest.mark.parametrize(
        "snippet", [pytest.param(each, id=each.name, marks=marks.get(each.name, ())) for each in snippets]
    )


@only_here
@pytest.mark.timeout(300)  # the first waits for `plain`
@cases(SNIPPETS, DIFFERENT)
async def test_behaves_as_in_plain_python(snippet: Snippet, plain: dict[str, list[Told]]) -> None:
    async with ProcessSandbox().open() as session:
        given = [told(await session.execute(block)) for block in snippet.blocks]
    assert [comparable(block) for block in given] == [comparable(block) for block in plain[snippet.name]]


def pieces(block: str) -> list[str]:
    """The block cut wherever one statement ends with its line; whole if it is no Python."""
    lines = re.findall(r".*\n|.+", block)
    try:
        statements = ast.parse(block).body
    except SyntaxError:
        return [block]
    ends = [statement.end_lineno or 0 for statement in statements]
    starts = [min([one.lineno, *(deco.lineno for deco in getattr(one, "decorator_list", []))]) for one in statements]
    cuts = [end for end, start in zip(ends, starts[1:], strict=False) if start > end]
    return ["".join(lines[start:end]) for start, end in itertools.pairwise([0, *cuts, len(lines)])]


async def arriving(parts: list[str]) -> AsyncIterator[str]:
    for part in parts:
        yield part
        await asyncio.sleep(0)


@pytest.mark.one_in(5)
@only_here
@pytest.mark.timeout(300)
@cases(
    [snippet for snippet in SNIPPETS if any(len(pieces(block)) > 1 for block in snippet.blocks)],
    DIFFERENT | DIFFERENT_IN_PIECES,
)
async def test_behaves_so_too_when_it_comes_statement_by_statement(
    snippet: Snippet, plain: dict[str, list[Told]]
) -> None:
    async with ProcessSandbox().open() as session:
        given = [told(await session.execute(arriving(pieces(block)))) for block in snippet.blocks]
    assert [comparable(block) for block in given] == [comparable(block) for block in plain[snippet.name]]


def told(execution: Execution) -> Told:
    error = execution.error
    return {
        "repr": execution.repr,
        "type": error and error.type,
        "message": error and error.message,
        "traceback": error and error.traceback,
        "stdout": execution.stdout,
    }


def comparable(block: Told) -> Told:
    """Without addresses, and without how deep the stack was when it was full."""
    varying = re.compile(r"(?<=\bat )0x[0-9a-f]+|(?<= id=')\d+|(?<=line repeated )\d+")
    return {key: text and varying.sub("_", text) for key, text in block.items()}


def test_there_are_many_and_each_has_a_name_of_its_own() -> None:
    assert len(SNIPPETS) >= 650
    assert [name for name, count in Counter(snippet.name for snippet in SNIPPETS).items() if count > 1] == []


def test_they_cover_the_syntax_and_the_builtins() -> None:
    nodes = [node for snippet in SNIPPETS for block in snippet.blocks for node in nodes_of(block)]
    kinds = {kind for family in FAMILIES for kind in family.__subclasses__()}
    assert {kind.__name__ for kind in kinds - {type(node) for node in nodes}} == set()
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    functions = {name for name in dir(builtins) if name[0] != "_" and name.islower()}
    assert functions - names - INTERACTIVE == set()


def nodes_of(block: str) -> list[ast.AST]:
    try:
        return list(ast.walk(ast.parse(block)))
    except SyntaxError:  # on purpose
        return []
