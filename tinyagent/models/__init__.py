"""Models: the seam, the wire, and the models that ship."""
