"""Which calls of tools a block of code awaits: read from its source, before it runs, for every sandbox.

names        which names code binds, and where the arguments of a call go
values       what a value may be: a tool, what its call gives, a function; itself or in a container
reader       reads statements and expressions: which values each name may hold, and what becomes of them
flow         reads calls; concludes which values are awaited, wherever they come to
definitions  what earlier blocks have defined
"""
