"""What runs inside the sandbox process: the standard library and nothing else of tinyagent but `values`."""
