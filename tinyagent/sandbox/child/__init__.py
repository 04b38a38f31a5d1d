"""What runs inside the sandbox process: the standard library, and of the rest of tinyagent only the codec."""
