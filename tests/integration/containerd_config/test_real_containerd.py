# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plans come to in real containerds of three series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Callable

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import read_configs
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_layouts import Layout, drop_in_steps
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_runtimes import wanted
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_staging import staging
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import Draft
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import compare
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Probe, RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import parse
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish
from hosts.containerds import program
from hosts.fixture import skipped_where_unavailable

from .real_containerd import RealContainerd

SERIES = ("1.6", "1.7", "2")
OLD = ("1.6", "1.7")
V2 = 'plugins."io.containerd.grpc.v1.cri"'
PRESENT = Wish()
FULL = Wish(default=True, privileged_without_host_devices="true")
ABSENT = Wish(state="absent")
NVIDIA = "/usr/bin/nvidia-container-runtime"

DEBIAN = f"""\
version = 2

[plugins]
  [{V2}]
    [{V2}.cni]
      bin_dir = "/usr/lib/cni"
"""
KUBEADM = f"""\
# by the image
version = 2
root = "/var/lib/containerd" # big disk

[{V2}]
sandbox_image = "registry.k8s.io/pause:3.9"
[{V2}.containerd]
snapshotter = "native"
default_runtime_name = "runc"
[{V2}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
pod_annotations = ["a.b/c"]
[{V2}.containerd.runtimes.runc.options]
SystemdCgroup = true
BinaryName = "/usr/bin/runc"
[{V2}.containerd.runtimes.kata]
runtime_type = "io.containerd.kata.v2"
[{V2}.registry]
config_path = "/etc/containerd/certs.d"
"""
INLINE = f"""\
version = 2
[{V2}.containerd]
runtimes = {{ runc = {{ runtime_type = "io.containerd.runc.v2", options = {{ SystemdCgroup = true }} }} }}
"""
DOTTED = f"""\
version = 2
[{V2}]
containerd.runtimes.runc.runtime_type = "io.containerd.runc.v2"
containerd.runtimes.runc.options.SystemdCgroup = true
"""
STARTS = {
    "debian": DEBIAN,
    "kubeadm": KUBEADM,
    "crlf": KUBEADM.replace("\n", "\r\n"),
    "inline": INLINE,
    "dotted": DOTTED,
    "empty": "",
    "missing": None,
}
Make = Callable[[str], RealContainerd]


@pytest.fixture(scope="module")
def programs() -> Callable[[str], Path]:
    """The executable of a series; Debian has them all."""

    def find(series: str) -> Path:
        with skipped_where_unavailable():
            return program(series)

    return find


@pytest.fixture
def make(programs: Callable[[str], Path], tmp_path: Path) -> Make:
    """A containerd of a series with an empty directory."""
    return lambda series: RealContainerd(programs(series), tmp_path)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("series", SERIES)
def test_runtime_comes_and_goes_without_a_trace(make: Make, series: str, start: str) -> None:
    host = make(series)
    if STARTS[start] is not None:
        host.write("config.toml", STARTS[start] or "")
    before, had = host.files(), host.dump()["stdout"]
    host.apply(FULL)
    cri = host.cri()["containerd"]
    nvidia = cri["runtimes"]["nvidia"]
    assert nvidia["options"]["BinaryName"] == NVIDIA
    assert nvidia["privileged_without_host_devices"] is True
    assert cri["runtimes"]["runc"]["runtime_type"] == "io.containerd.runc.v2"
    assert cri["default_runtime_name"] == "nvidia"
    if start not in ("debian", "empty", "missing"):
        assert nvidia["options"]["SystemdCgroup"] is True
    again = host.plan(FULL)
    assert not again.changed
    assert not again.problems
    host.apply(PRESENT)
    cri = host.cri()["containerd"]
    assert cri["default_runtime_name"] == "runc"
    assert not cri["runtimes"]["nvidia"]["privileged_without_host_devices"]
    host.apply(ABSENT)
    assert host.files() == before
    assert host.dump()["stdout"] == had
    assert host.record is None


@pytest.mark.parametrize("series", SERIES)
def test_config_that_containerd_writes_itself_is_edited(make: Make, series: str) -> None:
    host = make(series)
    host.write("config.toml", host.dump()["stdout"])
    before = host.files()
    host.apply(FULL)
    assert host.runtime("nvidia")["options"]["BinaryName"] == NVIDIA
    host.apply(ABSENT)
    assert host.files() == before


@pytest.mark.parametrize("series", OLD)
def test_config_of_version_1_is_migrated_by_the_command_that_is_told(make: Make, series: str) -> None:
    host = make(series)
    runc = "plugins.cri.containerd.runtimes.runc"
    host.write(
        "config.toml", f'[{runc}]\nruntime_type = "io.containerd.runc.v2"\n[{runc}.options]\nSystemdCgroup = true\n'
    )
    assert "config dump` prints it as version 2" in host.plan(PRESENT).problems[0]
    host.write("config.toml", host.dump()["stdout"])
    host.apply(PRESENT)
    assert host.runtime("nvidia")["options"]["SystemdCgroup"] is True


def as_drop_in(host: RealContainerd, wish: Wish) -> RuntimePlan:
    """The plan for 2.x, whatever is installed."""
    wish = replace(wish, state_dir=str(host.directory))
    draft = Draft("containerd", wish, host.look())
    configs = read_configs(draft.observation)
    layout = Layout("io.containerd.grpc.v1.cri", 2, wanted(wish, host.cri(), {}))
    ours = layout.needed.ours(wish.name, layout.plugin)
    for step in drop_in_steps(draft, configs, layout, ours):
        draft.add(step)
    plan = draft.plan(Probe("cri"), ours=ours)
    return replace(plan, staging=staging(draft, configs, plan))


@pytest.mark.parametrize("start", ["debian", "kubeadm"])
@pytest.mark.parametrize("series", OLD)
def test_comparison_refuses_a_drop_in_on_1_x(make: Make, series: str, start: str) -> None:
    host = make(series)
    host.write("config.toml", STARTS[start] or "")
    before = host.files()
    plan = as_drop_in(host, PRESENT)
    assert host.candidate(plan)["rc"] == 0
    refused = "\n".join(host.problems(plan))
    assert "what is not ours would change, so nothing is written" in refused
    lost = {
        "debian": f"all of {V2}.containerd.runtimes.runc",
        "kubeadm": "sandbox_image: 'registry.k8s.io/pause:3.9' -> ",
    }
    assert lost[start] in refused
    assert host.files() == before


def test_comparison_takes_a_drop_in_on_2_x(make: Make) -> None:
    host = make("2")
    host.write("config.toml", KUBEADM)
    assert host.problems(as_drop_in(host, PRESENT)) == []


@pytest.mark.parametrize("series", OLD)
def test_file_that_hides_ours_later_is_told(make: Make, series: str) -> None:
    host = make(series)
    host.write("config.toml", f'imports = ["{host.directory}/conf.d/*.toml"]\n' + KUBEADM)
    host.apply(PRESENT)
    host.write("conf.d/50-mirror.toml", f'version = 2\n[{V2}.registry]\nconfig_path = "/x"\n')
    told = "\n".join(host.plan(PRESENT).problems)
    assert "50-mirror.toml" in told
    assert "replaces the main file's whole table" in told


def test_hundreds_of_drop_ins_stay_in_their_order(make: Make) -> None:
    host = make("2")
    host.write("config.toml", 'imports = ["conf.d/*.toml"]\n' + DEBIAN)
    for number in range(300):
        host.write(
            f"conf.d/{number:03}.toml",
            f'version = 2\n[{V2}.containerd.runtimes.r{number}]\nruntime_type = "io.containerd.runc.v2"\n',
        )
    host.write("conf.d/79.toml", f'version = 2\n[{V2}.containerd]\ndefault_runtime_name = "r7"\n')
    before = host.files()
    host.apply(FULL)
    assert host.main.read_bytes() == before[str(host.main)]
    assert host.cri()["containerd"]["default_runtime_name"] == "nvidia"
    host.write("conf.d/81.toml", f'version = 2\n[{V2}.containerd]\ndefault_runtime_name = "r8"\n')
    assert "does not take effect, since another file overrides it" in host.plan(FULL).problems[0]
    (host.directory / "conf.d/81.toml").unlink()
    host.apply(ABSENT)
    assert host.files() == before


@pytest.mark.parametrize("series", SERIES)
def test_runtime_that_is_the_default_of_others_is_not_taken_out(make: Make, series: str) -> None:
    host = make(series)
    host.write("config.toml", DEBIAN)
    host.apply(PRESENT)
    # Somebody makes it the default one by hand.
    text = host.main.read_text()
    host.write("config.toml", text + f'[{V2}.containerd]\ndefault_runtime_name = "nvidia"\n')
    plan = host.plan(ABSENT)
    line = len(host.main.read_text().splitlines())
    assert plan.problems[0].startswith(f"Taking nvidia out: {host.main}:{line} makes it the default runtime")
    told = "\n".join(compare(plan, host.dump(), host.candidate(plan)))
    assert "its default runtime would be nvidia, of which there would be no table any more" in told


@pytest.mark.parametrize("series", SERIES)
def test_replaced_runc_gets_its_own_executable_back(make: Make, series: str) -> None:
    host = make(series)
    host.write("config.toml", KUBEADM.replace("/usr/bin/runc", NVIDIA))
    before = host.files()
    assert "The executable of runtime runc is NVIDIA's" in host.apply(PRESENT).warnings[0]
    assert host.runtime("runc")["options"]["BinaryName"] == NVIDIA
    restoring = replace(PRESENT, restore_runc=True)
    host.apply(restoring)
    assert host.runtime("runc")["options"]["BinaryName"] == "runc"
    assert host.runtime("nvidia")["options"]["BinaryName"] == NVIDIA
    assert not host.plan(restoring).changed
    host.apply(ABSENT)
    assert host.files() == before


def foreign(main_version: int = 2) -> str:
    """What NVIDIA's tool writes beside the main config."""
    return f"""\
version = {main_version}
[{V2}.containerd.runtimes.nvidia]
runtime_type = "io.containerd.runc.v2"
[{V2}.containerd.runtimes.nvidia.options]
BinaryName = "/usr/local/nvidia/toolkit/nvidia-container-runtime"
[{V2}.containerd.runtimes.nvidia-cdi]
runtime_type = "io.containerd.runc.v2"
[{V2}.containerd.runtimes.nvidia-cdi.options]
BinaryName = "/usr/local/nvidia/toolkit/nvidia-container-runtime.cdi"
"""


def test_foreign_drop_in_is_named_and_taken_over_when_told(make: Make) -> None:
    host = make("2")
    host.write("config.toml", 'imports = ["conf.d/*.toml"]\n' + DEBIAN)
    theirs = host.write("conf.d/99-nvidia.toml", foreign())
    before = host.files()
    told = host.plan(PRESENT).problems
    assert len(told) == 1
    assert "99-nvidia.toml: NVIDIA's GPU Operator defines the runtime nvidia there" in told[0]
    taking = replace(PRESENT, take_over=True)
    host.apply(taking)
    assert host.runtime("nvidia")["options"]["BinaryName"] == NVIDIA
    # What else that tool put there is not ours.
    assert host.runtime("nvidia-cdi")["options"]["BinaryName"].endswith("nvidia-container-runtime.cdi")
    assert not host.plan(taking).changed
    assert not host.plan(PRESENT).changed
    host.apply(ABSENT)
    assert host.files() == before
    assert theirs.read_text() == foreign()


@pytest.mark.parametrize("series", OLD)
def test_foreign_drop_in_is_taken_over_as_a_whole_on_1_x(make: Make, series: str) -> None:
    host = make(series)
    host.write("config.toml", f'imports = ["{host.directory}/conf.d/*.toml"]\n' + KUBEADM)
    # As that tool does, with a copy of the main file's table.
    copied = KUBEADM.replace("# by the image\n", "").replace('root = "/var/lib/containerd" # big disk\n', "")
    theirs = host.write(
        "conf.d/99-nvidia.toml", copied + f'[{V2}.containerd.runtimes.nvidia]\nruntime_type = "io.containerd.runc.v2"\n'
    )
    before = host.files()
    host.apply(replace(PRESENT, take_over=True))
    assert not theirs.exists()
    assert host.runtime("nvidia")["options"]["BinaryName"] == NVIDIA
    host.apply(ABSENT)
    assert host.files() == before


@pytest.mark.parametrize("series", SERIES)
def test_foreign_file_that_is_imported_by_its_name_is_taken_over(make: Make, series: str) -> None:
    host = make(series)
    host.write("config.toml", f'imports = ["{host.directory}/99-nvidia.toml"]\n' + DEBIAN)
    names = ("runc", "nvidia") if series in OLD else ("nvidia",)
    tables = "".join(f'[{V2}.containerd.runtimes.{name}]\nruntime_type = "io.containerd.runc.v2"\n' for name in names)
    theirs = host.write("99-nvidia.toml", (DEBIAN if series in OLD else "version = 2\n") + tables)
    before = host.files()
    taking = replace(PRESENT, take_over=True)
    host.apply(taking)
    # containerd does not start without a file that is named.
    assert theirs.read_text() == "version = 2\n"
    assert host.runtime("nvidia")["options"]["BinaryName"] == NVIDIA
    assert not host.plan(taking).changed
    host.apply(ABSENT)
    assert host.files() == before


@pytest.mark.parametrize("series", SERIES)
def test_relative_patterns_mean_what_the_series_makes_of_them(make: Make, series: str) -> None:
    host = make(series)
    host.write("config.toml", 'imports = ["conf.d/*.toml"]\n' + DEBIAN)
    host.write("conf.d/10.toml", "version = 2\n[debug]\nlevel = 'debug'\n")
    before = host.files()
    # 1.6 does not find it, and is to go on not finding it.
    assert (parse(host.dump()["stdout"], "dump")["debug"]["level"] == "debug") is (series != "1.6")
    host.apply(FULL)
    assert not host.plan(FULL).changed
    host.apply(ABSENT)
    assert host.files() == before


@pytest.mark.parametrize("series", ["1.7", "2"])
def test_cdi_is_switched_where_containerd_knows_it(make: Make, series: str) -> None:
    host = make(series)
    host.write("config.toml", DEBIAN)
    host.apply(replace(PRESENT, cdi="true"))
    assert host.cri()["enable_cdi"] is True
    host.apply(replace(PRESENT, cdi="false"))
    assert host.cri()["enable_cdi"] is False


def test_cdi_is_refused_on_1_6(make: Make) -> None:
    host = make("1.6")
    host.write("config.toml", DEBIAN)
    assert "which came with 1.7" in host.plan(replace(PRESENT, cdi="true")).problems[0]


@pytest.mark.parametrize("series", SERIES)
def test_file_that_containerd_refuses_is_left_alone(make: Make, series: str) -> None:
    host = make(series)
    host.write("config.toml", f"version = 2\n[{V2}]\nsandbox_image = 5\nenable_selinux = 'x'\n")
    told = host.plan(PRESENT).problems
    assert "containerd itself does not take it" in told[0]
