"""Type checkers see what `typed.py` says, and refuse the lines that it marks, no others."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TYPED = ROOT / "tests" / "typed.py"


def run(checker, *options):
    command = [Path(sys.executable).parent / checker, *options, TYPED]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False).stdout


def mypy():
    output = run("mypy", "--no-pretty", "--no-color-output")
    return {int(line): said for line, said in re.findall(r"typed\.py:(\d+): error: (.*)", output)}


def basedpyright():
    found = json.loads(run("basedpyright", "--outputjson", "--pythonpath", sys.executable))["generalDiagnostics"]
    return {item["range"]["start"]["line"] + 1: item["message"] for item in found if item["severity"] == "error"}


@pytest.mark.timeout(300)  # the first time mypy reads all that is imported
@pytest.mark.parametrize("checker", [mypy, basedpyright])
def test_a_checker_refuses_what_is_wrong_and_nothing_else(checker):
    lines = enumerate(TYPED.read_text(encoding="utf-8").splitlines(), 1)
    refused = {number: line.strip() for number, line in lines if line.endswith("# refused")}
    found = checker()
    assert {line: said for line, said in found.items() if line not in refused} == {}
    assert {line: said for line, said in refused.items() if line not in found} == {}
