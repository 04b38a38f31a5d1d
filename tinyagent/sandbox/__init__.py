"""Where model-written Python runs."""
