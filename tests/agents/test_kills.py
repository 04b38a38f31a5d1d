"""Processes that are killed at random moments while twenty agents work on one store; `make slow` kills more of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.agents.kinds import needs_sandbox

SCRIPT = Path(__file__).parents[2] / "scripts" / "kills.py"


@needs_sandbox
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(4000)])])
def test_no_answered_call_is_made_again_no_output_is_wrong_and_no_history_invalid(kills):
    done = subprocess.run(
        [sys.executable, SCRIPT, f"--kills={kills}"],
        capture_output=True,
        text=True,
        timeout=20 * kills + 200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [killed] = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("kills")]
    assert min(map(int, killed)) >= kills // 2
    print(done.stdout)
