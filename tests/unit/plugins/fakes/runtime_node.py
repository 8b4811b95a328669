# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node with a container runtime, as far as its files and programs go: real files below a directory, and stand-ins for systemd's and
containerd's programs that behave as those do. A service reads its files when it is started, and only then.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any

CONFIG = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/80-kubegpu-sharing.toml"
UNIT = "containerd.service"

# What a config makes of the service: words in it that stand for settings with which the real one does so.
BREAK, HANG, STUCK, NO_CRI, FLAP, UNREADABLE = "BREAK", "HANG", "STUCK", "NO_CRI", "FLAP", "UNREADABLE"

_SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >> @STATE@/calls
case $1 in
show)
    for unit; do
        case $unit in show|-*) continue;; esac
        names=$unit
        if [ -e @STATE@/aliases/$unit ]; then names="$(cat @STATE@/aliases/$unit) $unit"; unit=$(cat @STATE@/aliases/$unit); fi
        if [ -e @STATE@/units/$unit ]; then
            pid=$(cat @STATE@/pid)
            if grep -q FLAP @STATE@/loaded; then pid=$((pid + 1)); echo $pid > @STATE@/pid; fi
            printf 'Id=%s\\nLoadState=loaded\\nActiveState=%s\\nSubState=running\\n' $unit $(cat @STATE@/units/$unit)
            printf 'Names=%s\\n' "$names"
            printf 'UnitFileState=enabled\\nMainPID=%s\\nNRestarts=%s\\n' $pid $(wc -l < @STATE@/crashes)
            [ ! -e @STATE@/started ] || echo "ExecMainStartTimestampMonotonic=$(cat @STATE@/started)"
            printf 'ExecStart={ path=/usr/bin/containerd ; argv[]=/usr/bin/containerd%s ; ignore_errors=no ; }\\n\\n' "$(cat @STATE@/flags)"
        else
            load=not-found
            if [ -e @STATE@/masked/$unit ]; then load=masked; fi
            printf 'Id=%s\\nLoadState=%s\\nActiveState=inactive\\nSubState=dead\\nUnitFileState=\\nMainPID=0\\n\\n' $unit $load
        fi
    done;;
restart)
    config=@ROOT@/etc/containerd/config.toml
    cat $config @ROOT@/etc/containerd/conf.d/*.toml > @STATE@/read 2>/dev/null
    echo "Stopping $2 - stand-in..." >> @STATE@/journal
    echo "level=info msg=\"Stop CRI service\"" >> @STATE@/journal
    echo "Stopped $2 - stand-in." >> @STATE@/journal
    echo "Starting $2 - stand-in..." >> @STATE@/journal
    if [ -e @STATE@/hold ]; then read word < @STATE@/hold; fi
    if [ -e @STATE@/dead ] || grep -q BREAK @STATE@/read; then
        echo "level=info msg=chatter" >> @STATE@/journal
        echo "failed to load TOML: BREAK" >> @STATE@/journal
        echo failed > @STATE@/units/$2
        exit 1
    fi
    # What hangs does not end by itself either, when it is started anew.
    if grep -q STUCK @STATE@/loaded; then echo deactivating > @STATE@/units/$2; exec sleep 100; fi
    if grep -q STUCK @STATE@/read; then cp @STATE@/read @STATE@/loaded; echo activating > @STATE@/units/$2; exec sleep 100; fi
    if grep -q HANG @STATE@/read; then echo "still starting" >> @STATE@/journal; echo activating > @STATE@/units/$2; exec sleep 100; fi
    echo $(($(cat @STATE@/pid) + 1)) > @STATE@/pid
    cp @STATE@/read @STATE@/loaded
    echo active > @STATE@/units/$2;;
kill) : > @STATE@/loaded;;
esac
"""
_JOURNALCTL = """#!/bin/sh
case "$*" in
*--show-cursor*) echo "-- cursor: $(wc -l < @STATE@/journal)";;
*--after-cursor=*) after=${*##*--after-cursor=}; tail -n +$((${after%% *} + 1)) @STATE@/journal;;
*) cat @STATE@/journal;;
esac
"""
_CTR = """#!/bin/sh
[ "$(cat @STATE@/units/containerd.service)" = active ] || { echo "connection refused" >&2; exit 1; }
grep -q NO_CRI @STATE@/loaded && answer=error || answer=ok
printf 'TYPE ID PLATFORMS STATUS\\nio.containerd.content.v1 content - ok\\nio.containerd.grpc.v1 cri linux/amd64 %s\\n' $answer
"""
_CONTAINERD = """#!/bin/sh
[ "$1" = --version ] && { echo "containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+b1"; exit 0; }
grep -q UNREADABLE "$2" && { echo "containerd: failed to load TOML: $2: (3, 1): expecting a value" >&2; exit 1; }
echo 'imports = ["'$2'"]'
cat "$2"
"""


class RuntimeNode:
    """:param directory: everything is below it; ``root`` is the node's root directory."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.programs = directory / "bin"
        self._state = directory / "state"
        # By both clocks, and once: what is so many seconds ago keeps its distance from all else that is.
        self._now, self._uptime = time.time(), time.monotonic()
        for path in (self.root, self.programs, self._state / "units"):
            path.mkdir(parents=True)
        for name, value in (
            ("pid", "100"),
            ("journal", ""),
            ("loaded", ""),
            ("calls", ""),
            ("flags", ""),
            ("crashes", ""),
        ):
            (self._state / name).write_text(value, encoding="utf-8")
        for name, text in (("systemctl", _SYSTEMCTL), ("journalctl", _JOURNALCTL), ("ctr", _CTR)):
            self._program(self.programs / name, text)
        self._program(self.root / "usr/bin/containerd", _CONTAINERD)
        self.set_unit(UNIT, "active")
        self.write(CONFIG, "version = 2\n")
        self.load()

    def _program(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("@STATE@", str(self._state)).replace("@ROOT@", str(self.root)), encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def path(self, path: str) -> Path:
        """Where a path of the node is here."""
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str) -> None:
        """Put a file on the node."""
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text, encoding="utf-8")

    def read(self, path: str) -> str | None:
        """A file's text, None if there is none."""
        return self.path(path).read_text(encoding="utf-8") if self.path(path).exists() else None

    def load(self) -> None:
        """What the service reads when it is started."""
        (self._state / "loaded").write_text(self.settings(), encoding="utf-8")

    def settings(self) -> str:
        """What it would read now."""
        drop_ins = sorted(self.path("/etc/containerd/conf.d").glob("*.toml"))
        return "".join(path.read_text(encoding="utf-8") for path in [self.path(CONFIG), *drop_ins] if path.exists())

    @property
    def loaded(self) -> str:
        """What the service runs with."""
        return (self._state / "loaded").read_text(encoding="utf-8")

    @property
    def is_active(self) -> bool:
        return (self._state / "units" / UNIT).read_text(encoding="utf-8").strip() == "active"

    @property
    def calls(self) -> list[str]:
        """Calls of systemctl that may change something."""
        lines = (self._state / "calls").read_text(encoding="utf-8").splitlines()
        return [line for line in lines if not line.startswith("systemctl show")]

    def set_unit(self, name: str, active: str) -> None:
        (self._state / "units" / name).write_text(f"{active}\n", encoding="utf-8")

    def start_was(self, seconds: float) -> None:
        """The service was started so many seconds ago; what its start read is not touched."""
        started = f"{(self._uptime - seconds) * 1e6:.0f}"
        (self._state / "started").write_text(started, encoding="utf-8")

    def write_ago(self, path: str, text: str, seconds: float) -> None:
        """Put a file on the node, so many seconds ago."""
        self.write(path, text)
        os.utime(self.path(path), (self._now - seconds,) * 2)

    def rename_unit(self, name: str) -> None:
        """The service is one of another name, which has the usual one as an alias."""
        (self._state / "aliases").mkdir()
        (self._state / "aliases" / UNIT).write_text(name, encoding="utf-8")
        (self._state / "units" / UNIT).rename(self._state / "units" / name)

    def mask_unit(self, name: str) -> None:
        """Nobody may start it."""
        (self._state / "masked").mkdir(exist_ok=True)
        (self._state / "masked" / name).touch()
        (self._state / "units" / name).unlink(missing_ok=True)

    def set_flags(self, flags: str) -> None:
        (self._state / "flags").write_text(flags, encoding="utf-8")

    def die(self) -> None:
        """From now on the service does not start, whatever it reads."""
        (self._state / "dead").touch()

    @property
    def crashes(self) -> Path:
        """A line for each time that the service has ended by itself, and systemd has started it again."""
        return self._state / "crashes"

    def hold_restart(self) -> Path:
        """A pipe that the next restarts wait for."""
        os.mkfifo(self._state / "hold")
        return self._state / "hold"

    def release(self) -> None:
        (self._state / "hold").unlink()

    def leftovers(self) -> list[str]:
        """Files that a change has beside the settings, or to go back by."""
        state = self.root / "var/lib/kubegpu-sharing/runtime"
        found = [path for path in self.root.rglob("*") if ".kubegpu" in path.name]
        return [str(path) for path in [*found, state / "pending.json", state / "kept"] if os.path.lexists(path)]


def change(node: RuntimeNode, path: str, new: str | None, **more: Any) -> dict[str, Any]:
    """A file of a plan that was made for what is there now."""
    old = node.read(path)
    return {"path": path, "before": checksum(old), "content": new, "after": checksum(new), "mode": "0644", **more}


def make_plan(*files: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A plan with these files."""
    return {
        "schema_version": 1,
        "engine": "containerd",
        "problems": [],
        "restart": True,
        "actions": [f"write {one['path']}" for one in files],
        "files": list(files),
        "units": [UNIT],
        "probe": {"kind": "cri", "socket": None, "seconds": 5},
        "guards": [],
        "record": {"schema_version": 1, "engine": "containerd", "files": {}},
        **more,
    }


def checksum(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode()).hexdigest()


def pending(node: RuntimeNode) -> dict[str, Any] | None:
    """The marker on the node."""
    text = node.read("/var/lib/kubegpu-sharing/runtime/pending.json")
    return None if text is None else json.loads(text)


def params(node: RuntimeNode, plan: dict[str, Any] | None, **options: Any) -> dict[str, Any]:
    """The module's options."""
    return {
        "step": "applied",
        "plan": plan,
        "dump": None,
        "detached": False,
        "program": None,
        "confirm_seconds": 120.0,
        "restart_seconds": 60.0,
        "keep_backups": 5,
        "state_dir": "/var/lib/kubegpu-sharing/runtime",
        "run": "r1",
        "lock_path": "/run/lock/kubegpu-sharing.lock",
        "lock_wait_seconds": 0.0,
        "root": str(node.root),
        **options,
    }
