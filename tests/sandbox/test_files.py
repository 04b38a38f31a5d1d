"""Files in memory behave as those on disk, and nothing reaches the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sandbox.file_programs import programs

ROOT = Path(__file__).parents[2]
RUNNER = Path(__file__).with_name("file_runner.py")
#: Parts that the packages would import when they are first used.
PACKAGES = [
    "numpy.lib._format_impl",
    "pandas",
    "pandas.core.methods.to_dict",
    "pandas.io.formats.csvs",
    "pandas.io.formats.html",
    "pandas.io.json._json",
    "pandas.io.pickle",
]
PROGRAMS = programs(packages=True)


def start(arguments, place, text="", **environment):
    """Run a Python and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-B", "-X", "utf8", *arguments],
        input=text,
        capture_output=True,
        check=False,
        text=True,
        cwd=place,
        env={"PYTHONPATH": str(ROOT), **environment},
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def run_programs(place, *, memory):
    """Run all programs, with an empty directory to work in and one for temporary files."""
    home, temporary = place / "home", place / "temporary"
    home.mkdir()
    temporary.mkdir()
    order = {"memory": memory, "modules": PACKAGES, "programs": PROGRAMS}
    answer = start([str(RUNNER)], home, json.dumps(order), HOME=str(home), TMPDIR=str(temporary))
    return json.loads(answer) | {"left": [path.name for path in (*home.iterdir(), *temporary.iterdir())]}


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory):
    return run_programs(tmp_path_factory.mktemp("disk"), memory=False)


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory):
    return run_programs(tmp_path_factory.mktemp("memory"), memory=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_do_in_memory_what_they_do_on_disk(name, on_disk, in_memory):
    assert in_memory["results"][name] == on_disk["results"][name]
    assert on_disk["results"][name]


def test_there_are_enough_programs(on_disk):
    assert len(PROGRAMS) >= 120
    ended = {name for name, output in on_disk["results"].items() if "ended by" in output}
    assert ended == {"errors that stop the program", "an uncaught missing file", "an uncaught rename"}


def test_nothing_reaches_the_disk(on_disk, in_memory):
    assert len(on_disk["left"]) >= len(PROGRAMS)  # so they do leave something where they can
    assert in_memory["left"] == []
    # for a SyntaxError in a file the parser looks for the line by itself; it is C, and in the sandbox gets nothing
    assert [call for call in in_memory["reached"] if "broken_one.py" not in call] == []


def test_no_module_keeps_what_was_replaced(in_memory):
    assert in_memory["kept"] == []


def in_python(code, place, *options, **environment):
    """Run code in a Python that has the files in memory."""
    return start([*options, "-c", f"from tinyagent.sandbox.child import files\n{code}"], place, **environment)


def test_the_tree_begins_with_a_place_to_work(tmp_path):
    code = """
import os, tempfile
from pathlib import Path
before = tempfile.gettempdir()
files.install()
print(os.getcwd(), sorted(os.listdir("/")), os.listdir(), os.listdir("/dev"), Path.home())
print(before, tempfile.gettempdir())
"""
    printed = in_python(code, tmp_path, TMPDIR=str(tmp_path))
    assert printed == f"/work ['dev', 'tmp', 'work'] [] ['null'] /work\n{tmp_path} /tmp\n"


def test_it_needs_the_standard_library_alone(tmp_path):
    code = """
import sys
files.install()
print(sorted(name for name in sys.modules if name.startswith("tinyagent") and ".child" not in name))
"""
    loaded = ["tinyagent", "tinyagent.core", "tinyagent.core.lazy", "tinyagent.sandbox"]
    assert in_python(code, tmp_path, "-S") == f"{loaded}\n"


def test_installing_again_keeps_the_files(tmp_path):
    code = """
files.install()
open("a", "w").write("x")
files.install()
print(open("a").read(), __import__("sys").path.count(""))
"""
    assert in_python(code, tmp_path) == "x 1\n"


def test_forked_processes_have_files_of_their_own(tmp_path):
    code = """
import os
files.install()
for number in range(3):
    pid = os.fork()
    if pid == 0:
        open("mine", "x").write(str(number))
        assert os.listdir() == ["mine"]
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
print(os.listdir())
"""
    assert in_python(code, tmp_path) == "[]\n"


def test_what_is_real_is_not_there(tmp_path):
    (tmp_path / "real.txt").write_text("secret")
    (tmp_path / "real_module.py").write_text("secret = 1")
    code = f"""
import os, glob, pathlib
files.install()
for call in (
    lambda: open({str(tmp_path / "real.txt")!r}),
    lambda: os.stat({str(tmp_path)!r}),
    lambda: os.listdir({str(tmp_path)!r}),
    lambda: pathlib.Path("/etc/passwd").read_text(),
    lambda: os.open("/proc/self/mem", os.O_RDONLY),
):
    try:
        print("got", call())
    except FileNotFoundError:
        pass
try:
    import real_module
except ModuleNotFoundError as error:
    print(error, glob.glob("/*/*"))
"""
    assert in_python(code, tmp_path) == "No module named 'real_module' ['/dev/null']\n"


def test_links_owners_and_attributes_are_refused(tmp_path):
    code = """
import os
from pathlib import Path
files.install()
Path("a").touch()
for call, *args in (
    (os.symlink, "a", "b"),
    (os.link, "a", Path("b")),
    (os.readlink, "a"),
    (os.chown, "a", 0, 0),
    (os.lchown, "a", 0, 0),
    (os.getxattr, "a", "user.x"),
    (os.setxattr, "a", "user.x", b""),
    (os.removexattr, "a", "user.x"),
):
    try:
        call(*args)
    except PermissionError as error:
        print(error)
print(os.listdir())
"""
    refused = "[Errno 1] Operation not permitted: 'a'"
    assert in_python(code, tmp_path) == f"{refused} -> 'b'\n" * 2 + f"{refused}\n" * 6 + "['a']\n"


def test_shelves_are_those_in_python(tmp_path):
    """The others of `dbm` are C, and could not open their files."""
    code = """
import dbm, os, shelve
import dbm.dumb, encodings.latin_1
files.install()
with shelve.open("s") as shelf:
    shelf["a"] = 1
print(dbm.whichdb("s"), sorted(os.listdir()))
"""
    assert in_python(code, tmp_path) == "dbm.dumb ['s.bak', 's.dat', 's.dir']\n"


def test_files_larger_than_memory_are_no_space(tmp_path):
    code = """
import os, resource
files.install()
resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
with open("a", "wb", 0) as f:
    f.write(b"kept")
    f.seek(1 << 40)
    for call in (lambda: f.write(b"x"), lambda: f.truncate(1 << 40), lambda: os.truncate("a", 1 << 40)):
        try:
            call()
        except OSError as error:
            print(error.strerror)
print(open("a").read())
try:
    for _ in range(100):
        open("b", "ab", 0).write(bytes(1 << 26))
except OSError as error:
    print(error.strerror)
"""
    assert in_python(code, tmp_path) == "No space left on device\n" * 3 + "kept\nNo space left on device\n"


def test_a_copy_by_the_kernel_falls_back(tmp_path):
    """What pathlib tries first to copy a file is refused with the error that it expects."""
    code = """
import errno, fcntl, os
files.install()
with open("a", "w") as source, open("b", "w") as target:
    try:
        fcntl.ioctl(target, 0x40049409, source.fileno())
    except OSError as error:
        print(error.errno == errno.EOPNOTSUPP)
    for call, number in ((os.sendfile, errno.ENOTSOCK), (os.copy_file_range, errno.EXDEV)):
        try:
            call(target.fileno(), source.fileno(), 0, 1)
        except OSError as error:
            print(error.errno == number)
print(os.listxattr("a"))
"""
    assert in_python(code, tmp_path) == "True\nTrue\nTrue\n[]\n"
