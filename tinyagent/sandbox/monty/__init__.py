"""Code in Monty: a part of Python, interpreted in worker processes of `pydantic-monty`.

sandbox      MontySandbox, and what the model is told of it
session      a session: its worker, and what becomes of it
pool         the workers of an event loop
namespace    blocks and pieces in one worker
driver       drives a worker: answers what its code asks, and stops it
values       values and exceptions, into Monty and out of it
errors       what code and workers raise
source       a block read before it runs: what is fed, and which calls are awaited
"""

from tinyagent.sandbox.monty.sandbox import MontySandbox

__all__ = ["MontySandbox"]
