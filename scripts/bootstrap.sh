#!/bin/sh
# Makes the project's own environment in .venv, exactly as requirements.lock says, every file checked by its hash.
# An environment that already matches is left alone: that takes a moment and no network.
set -eu

oldest='3, 11'
newest='3, 14'
wanted='Python 3.11, 3.12, 3.13 or 3.14'

CDPATH='' cd -- "$(dirname -- "$0")/.."
python=.venv/bin/python
log=.venv/install.log

fail() {
    printf 'bootstrap: %s\n' "$1" >&2
    exit 1
}

# What an environment was made from: interpreter, folder (its scripts carry the path) and the files named.
made_from() {
    "$python" -I -c '
import hashlib, pathlib, sys
print(*sys.version_info[:3], pathlib.Path.cwd(), *(hashlib.sha256(pathlib.Path(f).read_bytes()).hexdigest() for f in sys.argv[1:]))
' "$@" 2>/dev/null || echo unusable
}

stamped() {
    [ -f ".venv/$1.stamp" ] && [ "$(cat ".venv/$1.stamp")" = "$(made_from "$2")" ]
}

# Prints the interpreter behind a name, or says on stderr in a few words why it will not do.
probe() {
    "$1" -E -s -c "
import sys
version = '.'.join(map(str, sys.version_info[:3]))
if not ($oldest) <= sys.version_info[:2] <= ($newest):
    sys.exit('is ' + version)
try:
    import ctypes, ensurepip, sqlite3, ssl, venv
except ImportError as error:
    sys.exit('%s has no %s (Debian and Ubuntu: install python3-venv)' % (version, error.name))
print(getattr(sys, '_base_executable', None) or sys.executable)
"
}

# Sets `interpreter`, or ends with one line. A name on the path proves nothing: it is run.
choose_python() {
    found=''
    for name in python3 python3.14 python3.13 python3.12 python3.11 python; do
        command -v "$name" >/dev/null 2>&1 || continue
        if interpreter=$(probe "$name" 2>/dev/null) && [ -x "$interpreter" ]; then
            return 0
        fi
        reason=$(probe "$name" 2>&1 >/dev/null) || true
        case $reason in
            'is '* | [23].*' has no '*) ;;
            *) reason='does not run' ;;
        esac
        found="$found${found:+, }$name $reason"
    done
    fail "needs $wanted on the PATH; found: ${found:-no Python at all}"
}

# Runs pip with its output in the log; prints a line now and then, and the end of the log when it fails.
run_pip() {
    { "$python" -I -m pip --disable-pip-version-check --no-input "$@" 2>&1 && echo 'pip: done' || echo 'pip: failed'; } | {
        count=0
        end=''
        while IFS= read -r line; do
            printf '%s\n' "$line" >>"$log"
            case $line in
                'Collecting '* | 'Processing '*)
                    count=$((count + 1))
                    [ $((count % 30)) -ne 0 ] || echo "  $count packages fetched"
                    ;;
                'Installing collected packages'*) [ "$count" -eq 0 ] || echo "  all $count fetched; unpacking" ;;
                'pip: '*) end=$line ;;
            esac
        done
        [ "$end" = 'pip: done' ] || { tail -n 12 "$log" >&2; exit 1; }
    }
}

install_locked() {
    choose_python
    echo "Making .venv with $("$interpreter" -I -V); about a minute, once"
    rm -rf .venv
    "$interpreter" -I -m venv .venv >/dev/null || fail "$interpreter could not make .venv"
    run_pip install --require-hashes --no-deps -r requirements.lock || fail "installing failed; the whole log: $log"
    made_from requirements.lock >.venv/lock.stamp
}

install_project() {
    run_pip install --no-deps --no-build-isolation -e . || fail "installing ml-connector failed; the whole log: $log"
    made_from pyproject.toml >.venv/project.stamp
}

# A caller's habits must not send the packages elsewhere.
unset PIP_TARGET PIP_PREFIX PIP_ROOT
export PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0

if ! stamped lock requirements.lock; then
    install_locked
    echo '  environment ready'
fi
stamped project pyproject.toml || install_project
