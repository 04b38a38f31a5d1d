"""Approval: what policies say of a call before it is made, and what a person has decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinyagent.agents.handoff import Handoff
from tinyagent.agents.middleware import ToolCall
from tinyagent.agents.records import (
    ASKED,
    BEGUN,
    DECISION,
    decision_text,
    pending_text,
    revived,
    to_allowed,
    to_decision,
)
from tinyagent.core.context import Context
from tinyagent.core.errors import DecisionError, MiddlewareError, RunError, ToolArgumentsError
from tinyagent.core.jsonable import brief, error_text, to_text
from tinyagent.core.messages import Call
from tinyagent.core.policy import Allow, Ask, Decision, Deny, Paused, Pending, Policy, Return, Verdict
from tinyagent.core.result import Observation
from tinyagent.core.tool import Tool
from tinyagent.core.waiting import blaming

if TYPE_CHECKING:
    from tinyagent.agents.journal import Journal
    from tinyagent.agents.state import RunState

_IN_FLIGHT = "It was in flight when the run was broken off, and may have been made. Say what it gave: Return(value)."


async def approved(
    run: RunState, tool: Tool[..., Any], call: Call, context: Context[Any], call_next: ToolCall
) -> Observation:
    """Make a call, if neither a policy nor a person denies it, and return what it gives.

    Raises:
        Paused: The call waits for a person.
        MiddlewareError: A policy failed.
    """
    decision = await _decision(run, tool, call, context)
    if isinstance(decision, Deny):
        error = PermissionError(decision.reason)
        return Observation(call, error_text(error), error=error_text(error)).raised(error)
    if isinstance(decision, Return):
        value = revived(tool, decision.value)
        return Observation(call, to_text(value), value)
    if tool.once and run.journal is not None:
        await run.journal.begin(context.key, call, "")
    if decision.arguments is None:
        return await call_next(call, context)
    other = Call(call.name, dict(decision.arguments), call.id)
    seen = await call_next(other, context)
    told = f"It was decided to call it with these arguments instead: {other.raw}\n{seen.text}"
    return replace(seen, text=told, error=seen.error and told).raised(seen.exception)


async def _decision(run: RunState, tool: Tool[..., Any], call: Call, context: Context[Any]) -> Decision:
    journal, key = run.journal, context.key
    if journal is not None and key + BEGUN in journal and (tool.once or journal.waited(key + BEGUN)):
        in_flight = Pending(key + BEGUN, tool.name, call.arguments, _IN_FLIGHT, context.agent, "value")
        return await _decided(journal, in_flight, tool)
    if journal is not None and key + ASKED in journal:
        return await _decided(journal, journal.asked(key), tool)
    allowed, verdict = await _verdict(run.policies, tool, call, context)
    if verdict is None:
        return allowed
    if isinstance(verdict, Deny):
        return verdict
    if journal is None:
        raise MiddlewareError(
            f"The tool {tool.name!r} needs approval, and the run has no store in which the call can wait: it came from "
            "a toolkit when the run had begun. Pass store=MemoryStore() to the run."
        )
    arguments = call.arguments if allowed.arguments is None else allowed.arguments
    return await _decided(journal, Pending(key, tool.name, arguments, verdict.prompt, context.agent), tool, allowed)


async def _verdict(
    policies: Iterable[Policy], tool: Tool[..., Any], call: Call, context: Context[Any]
) -> tuple[Allow, Deny | Ask | None]:
    """Return what the policies allow, and what the first of them says that objects, or else the tool itself.

    The arguments that a policy allows are those that the policies after it judge.
    """
    allowed: Allow | None = None
    for policy in policies:
        name = getattr(policy, "__qualname__", None) or type(policy).__name__
        with blaming(MiddlewareError, f"policy={name} failed:", RunError):
            verdict: Verdict = await policy(tool, call, context)
        if isinstance(verdict, Deny | Ask):
            return allowed or Allow(), verdict
        if not isinstance(verdict, Allow | None):
            raise MiddlewareError(
                f"policy={name} returned {brief(verdict)}: return Allow(), Deny('why'), Ask('...'), or None."
            )
        if verdict is not None and verdict.arguments is not None:
            call = Call(call.name, dict(verdict.arguments), call.id)
        allowed = verdict if allowed is None or (verdict and verdict.arguments is not None) else allowed
    if allowed is None and tool.needs_approval:
        return Allow(), Ask(f"May {tool.name} be called?")
    return allowed or Allow(), None


async def _decided(
    journal: Journal,
    pending: Pending,
    tool: Tool[..., Any],
    allowed: Allow = Allow(),  # noqa: B008 - it is immutable
) -> Decision:
    """Return what was decided of a call, which `allowed` has changed before anyone was asked.

    Raises:
        Paused: Nothing was decided yet.
    """
    key = pending.id + DECISION
    if key not in journal:
        decision = journal.decisions.get(pending.id)
        if decision is None:
            if pending.id + ASKED not in journal:
                await journal.record(pending.id + ASKED, pending_text(pending, allowed))
            raise Paused([pending])
        check_decision(pending, decision, tool)
        await journal.record(key, decision_text(decision))
    decided = journal.read(key, to_decision)
    return journal.read(pending.id + ASKED, to_allowed) if decided == Allow() else decided


def check_decision(pending: Pending, decision: object, tool: Tool[..., Any] | None) -> None:
    """Refuse what is no decision, or does not fit the call that waits; a tool that is not known yet cannot tell.

    Raises:
        DecisionError: The decision is refused; the text says what to pass.
    """
    what = f"The decision about {pending.tool!r} ({pending.id})"
    if not isinstance(decision, Allow | Deny | Return):
        raise DecisionError(f"{what} is {brief(decision)}: pass Allow(), Deny('why') or Return(value).")
    if pending.wants == "value" and isinstance(decision, Allow):
        raise DecisionError(f"{what} is Allow: it wants a value. Pass Return(value), or Deny('why').")
    if tool is None:
        return
    try:
        if isinstance(decision, Allow) and decision.arguments is not None:
            tool.signature.validate(tool.name, decision.arguments)
        elif isinstance(decision, Return):
            if isinstance(tool, Handoff):
                raise ValueError("an agent cannot go on with a value. Pass Allow(), or Deny('why').")
            revived(tool, decision.value, strict=True)
    except (ToolArgumentsError, ValueError) as error:
        raise DecisionError(f"{what} does not fit: {error}") from error


def checked_decisions(decisions: object, pending: Mapping[str, Pending]) -> Mapping[str, Decision]:
    """Return decisions by the ids of their calls, each of which must be waiting.

    Raises:
        DecisionError: `decisions` is no dict, or has an id under which nothing waits.
    """
    if not isinstance(decisions, Mapping):
        raise DecisionError(f"The decisions are {brief(decisions)}: pass a dict, such as {{pending.id: Allow()}}.")
    for unknown in decisions.keys() - pending.keys():
        waiting = "; ".join(f"{each.tool} ({key})" for key, each in pending.items()) or "nothing"
        raise DecisionError(f"No call waits under the id {brief(unknown)}. What waits is: {waiting}.")
    return decisions
