"""Files in memory for code that may open none: `open`, `os`, and all that is built on them, over a tree of our own.

The kernel denies the sandbox process every call that takes a path. `install` replaces the functions that would make
such calls; what they do to the tree, and the errors they raise, are those of CPython on Linux.

    nodes        files and directories
    tree         where paths lead, and what is open
    arguments    paths and descriptors given to a function, and errors that name them
    paths        os.stat, os.mkdir, os.rename, ...
    listing      os.listdir, os.scandir
    descriptors  os.read, os.close, ..., and fcntl
    objects      open, io.FileIO
    packages     what numpy needs beside
    install      puts all these where the originals were
"""

from tinyagent.sandbox.child.files.install import install

__all__ = ["install"]
