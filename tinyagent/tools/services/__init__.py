"""Web services that tools call: where each one is, its key, its answers, and what its failures mean."""
