# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that changed between two runs: another containerd, a config that was migrated, a record that was lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Callable, List

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish
from hosts.containerds import program
from hosts.fixture import skipped_where_unavailable

from .real_containerd import RealContainerd

PRESENT = Wish()
FULL = Wish(default=True, privileged_without_host_devices="true")
ABSENT = Wish(state="absent")
V2 = 'plugins."io.containerd.grpc.v1.cri"'
CONFIG = f"""\
# by the image
version = 2
[{V2}]
sandbox_image = "registry.k8s.io/pause:3.9"
[{V2}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{V2}.containerd.runtimes.runc.options]
SystemdCgroup = true
"""
Make = Callable[[str], RealContainerd]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The host's containerd, in a series; its files stay when another one is installed."""

    def installed(series: str) -> RealContainerd:
        with skipped_where_unavailable():
            return RealContainerd(program(series), tmp_path)

    return installed


def replaced_by(host: RealContainerd, newer: RealContainerd) -> RealContainerd:
    """Another containerd on the same host."""
    newer.record = host.record
    return newer


def runtimes(host: RealContainerd) -> List[str]:
    """Names in the merged config, the default one first."""
    containerd = host.cri()["containerd"]
    default = containerd["default_runtime_name"]
    return [default, *sorted(name for name in containerd["runtimes"] if name != default)]


def test_upgrade_needs_nothing_until_the_wish_changes(make: Make) -> None:
    host = make("1.7")
    host.write("config.toml", CONFIG)
    before = host.files()
    host.apply(FULL)
    host = replaced_by(host, make("2"))
    plan = host.plan(FULL)
    assert not plan.changed
    assert "by a run with an older containerd" in plan.notes[-1]
    assert plan.record == host.record
    moved = host.apply(PRESENT)
    assert "take out of the main file what a run with an older containerd put there" in moved.actions[1]
    assert runtimes(host) == ["runc", "nvidia"]
    assert not host.plan(PRESENT).changed
    host.apply(ABSENT)
    assert host.files() == before


@pytest.mark.parametrize("newer", ["1.7", "2"])
def test_runc_that_an_older_containerd_had_to_have_named_goes_from_a_newer_one(make: Make, newer: str) -> None:
    host = make("1.6")
    host.write("config.toml", "version = 2\n")
    before = host.files()
    host.apply(PRESENT)
    # The newer one has a key more for runtimes, which its built-in runc has set and a table of 1.6 has not.
    host = replaced_by(host, make(newer))
    host.apply(ABSENT)
    assert host.files() == before
    assert host.record is None


@pytest.mark.parametrize("lost", [False, True], ids=["recorded", "lost"])
@pytest.mark.parametrize("wish", [FULL, ABSENT], ids=["present", "absent"])
def test_containerd_that_was_taken_back_gets_its_config_back(make: Make, wish: Wish, lost: bool) -> None:
    host = make("2")
    host.write("config.toml", CONFIG)
    before = host.files()
    host.apply(FULL)
    host = replaced_by(host, make("1.7"))
    # 1.x takes the drop-in for all that there is.
    assert host.cri()["sandbox_image"] != "registry.k8s.io/pause:3.9"
    if lost:
        host.record = None
    host.apply(wish)
    assert not host.drop_in.exists()
    assert host.cri()["sandbox_image"] == "registry.k8s.io/pause:3.9"
    assert runtimes(host) == (["nvidia", "runc"] if wish.present else ["runc"])
    assert not host.plan(wish).changed
    if wish.present:
        host.apply(ABSENT)
    assert host.files() == before


@pytest.mark.parametrize("wish", [ABSENT, replace(FULL, name="gpu")], ids=["absent", "renamed"])
def test_ours_are_found_in_a_config_that_was_migrated(make: Make, wish: Wish) -> None:
    host = make("1.7")
    host.write("config.toml", CONFIG)
    host.apply(FULL)
    host = replaced_by(host, make("2"))
    # All defaults are written out, in tables with other names.
    host.main.write_text(host.run("--config", str(host.main), "config", "migrate")["stdout"])
    assert runtimes(host) == ["nvidia", "runc"]
    host.apply(wish)
    assert runtimes(host) == (["gpu", "runc"] if wish.present else ["runc"])


def test_drop_in_of_which_the_record_was_lost_is_ours(make: Make) -> None:
    host = make("2")
    host.write("config.toml", CONFIG)
    before = host.files()
    host.apply(FULL)
    host.record = None
    host.apply(PRESENT)
    assert runtimes(host) == ["runc", "nvidia"]
    host.record = None
    host.apply(ABSENT)
    assert host.files() == before


@pytest.mark.parametrize("wish", [PRESENT, ABSENT], ids=["present", "absent"])
def test_drop_in_that_somebody_broke_or_took_away_is_named_with_the_way_out(make: Make, wish: Wish) -> None:
    host = make("2")
    host.write("config.toml", CONFIG)
    before = host.files()
    host.apply(FULL)
    good = host.drop_in.read_text()
    host.drop_in.write_text(f"{good}x = = 1\n")
    (problem,) = host.plan(wish).problems
    assert problem.startswith(f"Reading {host.drop_in}:{good.count(chr(10)) + 1}:5: ")
    host.drop_in.unlink()
    # It does not start then, and dumps its defaults as if it did.
    assert host.dump()["rc"] == 0
    assert "nvidia" not in runtimes(host)
    (problem,) = host.plan(wish).problems
    assert problem.startswith(f"Reading {host.main}: {host.drop_in} is imported there and is gone.")
    assert "Take it out of the imports, or put it back" in problem
    host.main.write_text(host.main.read_text().replace(f'imports = ["{host.drop_in}"]\n', ""))
    host.apply(wish)
    host.apply(ABSENT)
    assert host.files() == before


def test_main_file_of_which_the_record_was_lost_is_told(make: Make) -> None:
    host = make("1.7")
    host.write("config.toml", CONFIG)
    host.apply(FULL)
    host.record = None
    assert "nvidia is containerd's default runtime already, put in by somebody else" in host.plan(PRESENT).notes[-1]
    plan = host.plan(ABSENT)
    assert not plan.changed
    assert "no record on this node says that it was put in from here: it stays" in plan.warnings[0]


@pytest.mark.parametrize("series", ["1.6", "1.7"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"[{V2}.containerd.runtimes.nvidia]", f"[{V2}.containerd.runtimes.runc.options]\nSystemdCgroup = true\n"),
        ('BinaryName = "/usr/bin/', 'BinaryName = "/opt/'),
    ],
    ids=["runc", "nvidia"],
)
def test_runtime_that_somebody_edited_goes_once_a_run_has_undone_that_and_stays_otherwise(
    make: Make, series: str, old: str, new: str
) -> None:
    host = make(series)
    host.write("config.toml", "version = 2\n")
    host.apply(PRESENT)
    noted = host.record
    edited = host.main.read_text().replace(old, f"{new}{old}" if "runc" in new else new)
    host.main.write_text(edited)
    host.apply(PRESENT)
    assert host.runtime("nvidia")["options"]["BinaryName"] == "/usr/bin/nvidia-container-runtime"
    assert bool(host.runtime("nvidia")["options"].get("SystemdCgroup")) is ("runc" in new)
    assert not host.plan(PRESENT).changed
    host.apply(ABSENT)
    assert runtimes(host) == ["runc"]
    assert "/opt/" not in host.main.read_text()
    # The same without a run in between.
    host.main.write_text(edited)
    host.record = noted
    gone = host.apply(ABSENT)
    assert runtimes(host) == (["runc"] if "runc" in new else ["runc", "nvidia"])
    assert any("The runtime nvidia in" in told for told in gone.warnings) is ("runc" not in new)


def by_nvidia_ctk(binary: str = "/usr/bin/nvidia-container-runtime") -> str:
    """What it writes from 1.18 on, if it is told to make its runtime the default one: the whole table, on 1.x."""
    runtimes = "".join(
        f"""\
[{V2}.containerd.runtimes.{name}]
runtime_type = "io.containerd.runc.v2"
[{V2}.containerd.runtimes.{name}.options]
BinaryName = "{binary}{suffix}"
SystemdCgroup = true
"""
        for name, suffix in (("nvidia", ""), ("nvidia-cdi", ".cdi"))
    )
    return f'{CONFIG}[{V2}.containerd]\ndefault_runtime_name = "nvidia"\n{runtimes}'


@pytest.mark.parametrize("series", ["1.7", "2"])
def test_file_that_makes_the_same_executable_the_default_one_is_taken_over(make: Make, series: str) -> None:
    host = make(series)
    host.write("config.toml", f'imports = ["{host.directory}/conf.d/*.toml"]\n{CONFIG}')
    theirs = host.write("conf.d/99-nvidia.toml", by_nvidia_ctk())
    before = host.files()
    taking = replace(PRESENT, take_over=True)
    told = "\n".join(host.apply(taking).warnings)
    assert "will not be any more" in told
    assert ("its runtimes nvidia-cdi go too" in told) is (series == "1.7")
    assert runtimes(host) == ["runc", "nvidia", *(["nvidia-cdi"] if series == "2" else [])]
    assert not host.plan(taking).changed
    host.apply(replace(taking, default=True))
    assert runtimes(host)[0] == "nvidia"
    again = by_nvidia_ctk("/usr/local/bin/nvidia-container-runtime")
    theirs.write_text(again)
    if series == "2":
        host.apply(ABSENT)
        assert host.files() == {**before, str(theirs): again.encode()}
    else:
        theirs.unlink()
        host.apply(ABSENT)
        assert host.files() == before
