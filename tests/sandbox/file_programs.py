"""Programs that use files. Each runs in a directory of its own, on disk and in memory, and must print the same.

`tried(call)` prints what a call returns or raises, `show(...)` prints values, `tree()` prints what there is.
"""

from __future__ import annotations

from tests.sandbox import file_programs_library, file_programs_open, file_programs_os


def programs(*, packages: bool) -> dict[str, str]:
    """Programs by name; those with packages on request."""
    found: dict[str, str] = {}
    texts = [module.PROGRAMS for module in (file_programs_open, file_programs_os, file_programs_library)]
    for text in texts + [file_programs_library.PACKAGES] * packages:
        for part in text.split("\n# %% ")[1:]:
            name, _, code = part.partition("\n")
            assert name not in found, name
            found[name] = code
    return found
