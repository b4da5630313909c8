#!/bin/sh
# Makes or mends .venv, with the project installed in it; does nothing when it is up to date.
#
#   scripts/setup.sh            PYTHON=/path/to/python chooses the interpreter
#
# Wanted is the Python of .python-version, for which the real Lucid is made; else one on which
# Lucid works too; else, where a network allows it, one that uv fetches; else any from 3.11 on.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
stamp=$venv/.lucidgen-setup
wanted=$(cat .python-version)
also_good=3.13
export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s\n' "setup: $*" >&2; }
fail() { say "$*"; exit 1; }
version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null; }
recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 </dev/null; }

# The state that the stamp records: what is to be installed, where, and into which Python.
state() {
    cat pyproject.toml .python-version scripts/setup.sh | cksum
    pwd -P
    version $venv/bin/python || echo "no Python"
}

# find_exactly VERSION: print an interpreter of that version that really runs. A pyenv shim may
# be on the path and fail, and pyenv's own versions may be off the path.
find_exactly() {
    for python in "python$1" python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1"*/bin/python \
        "/opt/homebrew/opt/python@$1/bin/python$1" "/usr/local/opt/python@$1/bin/python$1"; do
        if [ "$(version "$python")" = "$1" ]; then
            echo "$python"
            return
        fi
    done
    if command -v uv >/dev/null 2>&1; then
        uv python find --no-python-downloads "$1" 2>/dev/null
    else
        return 1
    fi
}

# fetch PYTHON: let uv fetch the wanted version, installing uv beside the build if it is missing.
fetch() {
    uv=$(command -v uv) || {
        tools=build/uv
        [ -x $tools/bin/uv ] || {
            "$1" -m venv $tools && $tools/bin/python -m pip install -qq uv
        } >/dev/null 2>&1 || return 1
        uv=$tools/bin/uv
    }
    say "no Python $wanted here; asking uv for one"
    UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-20} "$uv" python install --quiet "$wanted" >/dev/null 2>&1 \
        </dev/null || return 1
    "$uv" python find --no-python-downloads "$wanted" 2>/dev/null
}

find_any() {
    for python in python3 python3.14 python3.12 python3.11 python; do
        if recent "$python"; then
            echo "$python"
            return
        fi
    done
    for near in 3.14 3.11; do
        find_exactly $near && return
    done
    return 1
}

choose() {
    if [ -n "${PYTHON:-}" ]; then
        recent "$PYTHON" || fail "PYTHON=$PYTHON does not run, or is older than 3.11"
        echo "$PYTHON"
        return
    fi
    find_exactly "$wanted" && return
    find_exactly "$also_good" && return
    any=$(find_any) || fail "found no Python from 3.11 on; install Python $wanted, or set PYTHON"
    fetch "$any" && return
    say "using Python $(version "$any"), on which Lucid cannot be installed: MLX takes its place"
    echo "$any"
}

# create PYTHON: make the environment, with pip in it.
create() {
    rm -rf $venv
    if "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        "$1" -m venv $venv && return
    elif "$1" -m venv --without-pip $venv >/dev/null 2>&1 &&
        "$1" -m pip --python $venv/bin/python install -qq pip >/dev/null 2>&1; then
        return
    fi
    rm -rf $venv
    fail "$1 cannot make virtual environments. On Debian or Ubuntu run
    sudo apt-get install python3-venv
and try again."
}

# Is the environment what it was when it was set up, and of the version that was asked for?
up_to_date() {
    [ -f $stamp ] && [ "$(cat $stamp)" = "$(state)" ] || return 1
    [ -z "${PYTHON:-}" ] || [ "$(version "$PYTHON")" = "$(version $venv/bin/python)" ]
}

if up_to_date; then
    exit 0
fi

python=$(choose)
if [ "$(version $venv/bin/python)" = "$(version "$python")" ] &&
    $venv/bin/python -m pip --version >/dev/null 2>&1; then
    say "updating $venv (Python $(version "$python"))"
else
    say "making $venv with $python (Python $(version "$python"))"
    create "$python"
fi
rm -f $stamp
say "installing what pyproject.toml asks for; this takes a minute or two"
$venv/bin/python -m pip install -qq --editable '.[test]'
state >$stamp
