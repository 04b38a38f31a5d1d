"""The `tinyagent` command."""
