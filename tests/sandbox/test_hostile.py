"""Code that tries to get out of the process sandbox, to bring down its host, or to reach a neighbour.

What is tried stands in `hostile` and its modules, what would tell of a success in `hostile_world`.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.hostile import ATTEMPTS, THEMES
from tinyagent.sandbox.process import ProcessSandbox

ROOT = Path(__file__).parents[2]
RUNNER = Path(__file__).with_name("hostile_runner.py")
NOBODY = 65534
#: Seconds after which a run is taken to hang.
PATIENCE = 300

pytestmark = pytest.mark.skipif(
    ProcessSandbox.reason_against() is not None, reason=f"no ProcessSandbox here: {ProcessSandbox.reason_against()}"
)


def shares(short: str) -> pytest.MarkDecorator:
    """A share of the attempts, and as a slow test all of them, which take minutes."""
    return pytest.mark.parametrize(("share", "least"), [(short, 50), pytest.param("0/1", 300, marks=pytest.mark.slow)])


def test_there_are_many_attempts_of_every_kind():
    themes = Counter(attempt.theme for attempt in ATTEMPTS)
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS) >= 300
    assert all(themes[theme] >= 15 for theme in THEMES), themes


@pytest.mark.parametrize("theme", THEMES)
def test_attempts_are_python(theme):
    """One that does not compile would try nothing."""
    for attempt in ATTEMPTS:
        if attempt.theme == theme and attempt.name != "a syntax error":
            compile(attempt.code, attempt.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@pytest.mark.timeout(PATIENCE)
def test_what_is_refused_would_work_without_a_sandbox():
    """Otherwise that it fails would say nothing of the sandbox."""
    answers = run_unprivileged("--plain")
    reached = [name for name, answer in answers.items() if answer not in ("EPERM", "ENOSYS")]
    assert len(reached) > 0.6 * len(answers), sorted(answers.keys() - reached)
    assert sum("BREACH!" in answer for answer in answers.values()) >= 100


@shares("0/25")
@pytest.mark.timeout(PATIENCE + 20)
@pytest.mark.skipif(os.geteuid() != 0, reason="not run as root")
def test_nothing_gets_out_as_root(share, least):
    check(run(sys.executable, "--share", share), least)


@shares("12/25")
@pytest.mark.timeout(PATIENCE + 20)
def test_nothing_gets_out_as_an_unprivileged_user(share, least):
    check(run_unprivileged("--share", share), least)


def run_unprivileged(*options: str) -> dict[str, Any]:
    """The runner's report, as this user or as nobody."""
    if os.geteuid() != 0:
        return run(sys.executable, *options)
    return run(nobodys_python(), *options, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")


def nobodys_python() -> str:
    """An interpreter of this version, with this environment's packages, that an unprivileged user may run."""
    import_all = "import openai, pydantic, tinyagent.sandbox.process, tests.sandbox.hostile_runner"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    reasons = []
    for python in dict.fromkeys([sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"]):
        try:
            subprocess.run(
                [python, "-c", import_all],
                user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", env=environment(), check=True, capture_output=True,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            reasons.append(f"{python}: {error.stderr.decode().strip().splitlines()[-1]}")
        except OSError as error:
            reasons.append(str(error))
        else:
            return python
    pytest.skip(f"no {version} that user {NOBODY} can run with these packages: {'; '.join(reasons)}")


def environment() -> dict[str, str]:
    """What the runner needs, and nothing else."""
    paths = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run(python: str, *options: str, **process: Any) -> dict[str, Any]:
    """The runner's report. It runs in a process of its own, which an attempt may bring down or hold up."""
    command = [python, str(RUNNER), *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
    with subprocess.Popen(command, env=environment(), **pipes, **process) as runner:
        try:
            out, err = runner.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            runner.kill()
            out, err = runner.communicate()
            pytest.fail(f"the host hangs in one of {running(err)}")
    try:
        return json.loads(out)
    except ValueError:
        pytest.fail(f"the host ended with {runner.returncode} in one of {running(err)}: {err[-2000:]}")


def running(progress: str) -> list[str]:
    """The attempts that had begun and not ended."""
    begun = dict.fromkeys(line.removeprefix("begins ") for line in progress.splitlines() if line.startswith("begins "))
    ended = {line.removeprefix("ends ") for line in progress.splitlines() if line.startswith("ends ")}
    return [name for name in begun if name not in ended]


def check(report: dict[str, Any], least: int) -> None:
    """Nothing was wrong. How late the event loop was is shown, not judged: other processes have a part in it."""
    lags = sorted(report["lags"], key=lambda lag: -lag["lag"])[:5]
    print(f"{report['attempts']} attempts as user {report['uid']} in {report['seconds']} s")
    print(f"the event loop was {report['lag']} s late, and busy for {report['busy']} s at a time", *lags, sep="\n")
    assert report["violations"] == {}
    assert report["attempts"] == len(report["outcomes"]) >= least
