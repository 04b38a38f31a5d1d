"""Stores, which keep the records of runs, and what they hold: runs that can be taken up, and conversations."""

from tinyagent.agents.recovery import recorded_runs, resume_all
from tinyagent.agents.runrecord import RunRecord
from tinyagent.agents.sessions import Conversations
from tinyagent.core.sqlite import SQLiteStore
from tinyagent.core.store import MemoryStore, Store

__all__ = ["Conversations", "MemoryStore", "RunRecord", "SQLiteStore", "Store", "recorded_runs", "resume_all"]
