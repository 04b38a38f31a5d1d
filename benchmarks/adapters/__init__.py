"""Adapter registry. Adding a peer: one file here with a subclass of base.Adapter, one line below."""
from __future__ import annotations

import importlib
import importlib.util

# name -> (module, class, options)
REGISTRY: dict[str, tuple[str, str, dict]] = {
    # floors: the loop a user would write by hand
    "floor-asyncio": ("raw_asyncio", "RawAsyncio", {}),
    "floor-asyncio-append": ("raw_asyncio", "RawAsyncioAppend", {}),
    "floor-aiohttp": ("raw_aiohttp", "RawAiohttp", {}),
    "floor-httpx": ("raw_httpx", "RawHttpx", {}),
    "floor-httpx2": ("raw_httpx", "RawHttpx2", {}),
    "openai-loop": ("openai_loop", "OpenAILoop", {}),
    "openai-loop-aiohttp": ("openai_loop", "OpenAILoopAiohttp", {}),
    "openai-loop-post": ("openai_loop", "OpenAILoopPost", {}),
    "openai-loop-post-aiohttp": ("openai_loop", "OpenAILoopPostAiohttp", {}),
    "openai-loop-raw": ("openai_loop", "OpenAILoopRawResponse", {}),
    # peers
    "openai-agents": ("openai_agents", "OpenAIAgents", {}),
    "pydantic-ai": ("pydantic_ai_peer", "PydanticAI", {}),
    "langgraph": ("langgraph_peer", "LangGraph", {}),
    "agno": ("agno_peer", "Agno", {}),
    "smolagents-tool": ("smolagents_peer", "SmolTool", {}),
    "smolagents-code": ("smolagents_peer", "SmolCode", {}),
    # ours
    "tinyagent": ("tinyagent_own", "TinyAgent", {}),
    "tinyagent-fast": ("tinyagent_own", "TinyAgentFast", {}),
}

FLOORS = [n for n in REGISTRY if n.startswith(("floor-", "openai-loop"))]


def load(name: str, **options):
    module, cls, opts = REGISTRY[name]
    mod = importlib.import_module(f"adapters.{module}")
    return getattr(mod, cls)(**{**opts, **options})


def cls_of(name: str):
    module, cls, _ = REGISTRY[name]
    if importlib.util.find_spec(f"adapters.{module}") is None:
        return None
    return getattr(importlib.import_module(f"adapters.{module}"), cls)


def available(name: str) -> bool:
    c = cls_of(name)
    return c is not None and all(importlib.util.find_spec(r) is not None for r in c.requires)
