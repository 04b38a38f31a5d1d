"""Policies, which say of each call whether it may be made, and the decisions about calls that wait."""

# ruff: noqa: I001
# fmt: off
from tinyagent.core.policy import (
    Allow, Ask, Decision, Deny, Pending, Policy, Return, Verdict, allow_only, ask_before, ask_on_terminal, first_of,
    read_only,
)

__all__ = [
    "Allow", "Ask", "Decision", "Deny", "Pending", "Policy", "Return", "Verdict", "allow_only", "ask_before",
    "ask_on_terminal", "first_of", "read_only",
]
