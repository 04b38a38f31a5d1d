"""Which calls of tools a block of code awaits: read from its source, before it runs, for every sandbox.

scopes       where a name belongs
facts        what is known of a block: names, functions and calls
reader       reads it
flow         which calls are awaited, and what else may call a tool
definitions  what earlier blocks have defined
"""
