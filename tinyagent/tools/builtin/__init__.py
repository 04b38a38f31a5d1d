"""Tools that ship with tinyagent."""
