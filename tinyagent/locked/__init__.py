"""A process that gives up its rights before it does anything for others: for pages and for code."""
