"""What runs inside the sandbox process; it imports the standard library, and modules of tinyagent that need no more."""
