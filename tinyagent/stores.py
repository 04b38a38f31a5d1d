"""Where the records of runs are kept."""

from tinyagent.core.store import MemoryStore, Store

__all__ = ["MemoryStore", "Store"]
