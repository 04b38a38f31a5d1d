"""Which calls of tools a block of code awaits: read from its source, before it runs, for every sandbox.

flow         where tools and the values of their calls come to, and which of these are awaited
definitions  what earlier blocks have defined
"""
