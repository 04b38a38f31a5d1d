"""The parts of web tools: which addresses are public, guarded connections, capped bodies, pages as text."""
