"""Which calls of tools a block of code awaits: read from its source, before it runs, for every sandbox.

scopes       where a name belongs
facts        what a block does with names, functions and calls
reader       reads a block and notes these facts
flow         which calls are awaited, and what else may call a tool
definitions  what earlier blocks have defined
"""
