"""Code in this process, for code that you trust.

executor     PythonExecutor: `run`, and sessions for an agent
session      a session: its blocks run in worker threads
block        one block while it runs
namespace    its builtins and imports, and how its code is compiled and run
stopper      stops a thread's code
"""

from tinyagent.sandbox.inprocess.executor import DEFAULT_IMPORTS, PythonExecutor

__all__ = ["DEFAULT_IMPORTS", "PythonExecutor"]
