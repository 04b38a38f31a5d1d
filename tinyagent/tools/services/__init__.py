"""Web services of others that tools call: where each is, its key, its answers, and what its failures mean."""
