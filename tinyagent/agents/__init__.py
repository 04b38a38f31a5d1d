"""Agents: the loop, and how each kind of agent asks and acts."""
