"""Stores, which keep the records of runs."""

from tinyagent.core.store import MemoryStore, Store

__all__ = ["MemoryStore", "Store"]
