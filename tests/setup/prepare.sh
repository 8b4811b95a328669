#!/bin/sh
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Looks for what set-up cannot bring itself, names everything that is missing at once, and hands over to
# environment.py beside this file. Plain sh: there may be no usable Python yet.
#
#   prepare.sh NAME...        set up these environments: runtime, test, oldest
#   prepare.sh --packages     only print the Debian packages that are missing, one a line
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
missing=""
packages=""

need() { # what, Debian package
    missing="$missing
  - $1: apt install $2"
    packages="$packages $2"
}

find_python() {
    for candidate in python3 python3.13 python3.12 python3.11 python3.14; do
        # Run it: a version manager's shim exists without the interpreter behind it.
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
}

check_compiler() {
    if ! command -v gcc >/dev/null 2>&1; then
        need "a C compiler for the simulated NVML library" "gcc libc6-dev"
    elif ! printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | gcc -x c - -o /dev/null 2>/dev/null; then
        need "the C library's headers for the simulated NVML library" "libc6-dev"
    fi
}

check_python() {
    python=$(find_python)
    if [ -z "$python" ]; then
        if found=$(python3 --version 2>/dev/null); then
            need "Python 3.11 or newer (found $found)" "python3 python3-venv"
        else
            need "Python 3.11 or newer" "python3 python3-venv"
        fi
    elif ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        if [ "$python" = /usr/bin/python3 ]; then
            need "Python's venv module with pip" "python3-venv"
        else
            need "Python's venv module with pip for $python" "python$version-venv"
        fi
    fi
}

check_python
check_compiler
command -v git >/dev/null 2>&1 || need "git" "git"
command -v make >/dev/null 2>&1 || need "make" "make"

if [ "${1:-}" = "--packages" ]; then
    for package in $packages; do echo "$package"; done
    exit 0
fi
if [ -n "$missing" ]; then
    echo "Set-up cannot start, because this machine lacks:$missing" >&2
    echo "Install them (as root) and run the same command again; nothing else is needed from the system." >&2
    exit 1
fi
exec "$python" "$here/environment.py" "$@"
