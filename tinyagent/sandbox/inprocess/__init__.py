"""Code in this process, for code that you trust.

executor     PythonExecutor: `run`, and sessions for an agent
session      a session, and its blocks, which run in worker threads
namespace    the names of blocks, their builtins and imports, and how their code is compiled and run
stopper      stops code that runs in a thread
"""

from tinyagent.sandbox.inprocess.executor import DEFAULT_IMPORTS, PythonExecutor

__all__ = ["DEFAULT_IMPORTS", "PythonExecutor"]
