"""Stores, which keep the records of runs."""

from tinyagent.core.sqlite import SQLiteStore
from tinyagent.core.store import MemoryStore, Store

__all__ = ["MemoryStore", "SQLiteStore", "Store"]
