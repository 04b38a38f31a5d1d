#!/bin/sh
# CPython 3.11 or newer on this machine, as lines of "VERSION INTERPRETER".
#
#   pythons.sh best   the one to work with: $PYTHON if it is set, else python3 if that is new enough, else the newest
#   pythons.sh all    one of each minor version, oldest first
#
# Only interpreters that can make virtual environments count.
set -u

probe='
import sys
v = sys.version_info
if v < (3, 11) or sys.implementation.name != "cpython":
    sys.exit(3)
try:
    import ensurepip, venv
except ImportError:
    sys.exit(4)
print("%d.%d %s" % (v[0], v[1], sys.executable))
'
released='
import sys, sysconfig
sys.exit(sys.version_info.releaselevel not in ("final", "candidate") or bool(sysconfig.get_config_var("Py_GIL_DISABLED")))
'
debian='on Debian or Ubuntu: apt-get install python3-venv'
without_venv=

look() {    # look INTERPRETER: its line; 3 if too old, 4 if it lacks venv
    "$1" -c "$probe" 2>/dev/null
}

names() {   # interpreters by name, then those of pyenv
    for minor in 11 12 13 14 15 16 17 18 19; do
        command -v "python3.$minor"
    done
    for found in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3; do
        [ -x "$found" ] && echo "$found"
    done
    command -v python3
}

all() {
    names | while IFS= read -r found; do
        "$found" -c "$released" 2>/dev/null && look "$found"
    done | sort -t. -k2,2n | awk '!seen[$1]++'
}

fail() {
    echo "error: $1" >&2
    exit 1
}

best() {
    if [ -n "${PYTHON:-}" ]; then
        look "$PYTHON"
        case $? in
            0) return ;;
            3) fail "PYTHON=$PYTHON is not CPython 3.11 or newer." ;;
            4) fail "PYTHON=$PYTHON cannot make a virtual environment: its venv or ensurepip module is missing ($debian)." ;;
            *) fail "PYTHON=$PYTHON does not run." ;;
        esac
    fi
    look python3 && return
    [ $? -eq 4 ] && without_venv=python3
    newest=$(all | tail -n 1)
    if [ -n "$newest" ]; then
        echo "$newest"
    elif [ -n "$without_venv" ]; then
        fail "python3 cannot make a virtual environment: its venv or ensurepip module is missing ($debian)."
    else
        fail "no CPython 3.11 or newer found. Install one ($debian; on macOS: brew install python), or name it: make PYTHON=/path/to/python3."
    fi
}

case "${1:-}" in
    best | all) "$1" ;;
    *) fail "usage: pythons.sh best|all" ;;
esac
