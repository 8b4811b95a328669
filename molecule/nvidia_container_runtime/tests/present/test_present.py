# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""With the runtime: pods run by it, and what somebody else has set is as it was."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

GUIDE = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "docs/docsite/rst/guide_make_containerd_ready_for_gpus.rst"
BINARY = "/usr/bin/nvidia-container-runtime"


def containerd_section(dump: dict[str, Any]) -> dict[str, Any]:
    """Where the handlers are, whatever the version of the file."""
    plugins = dump["plugins"]
    plugin = plugins.get("io.containerd.cri.v1.runtime") or plugins["io.containerd.grpc.v1.cri"]
    section: dict[str, Any] = plugin["containerd"]
    return section


def test_containerd_is_of_the_series_that_the_guide_says_was_run(host, name):
    told = re.findall(r"   \* - containerd\n     - (\S+) .+\n     - Run\n", GUIDE.read_text("utf-8"))
    own = name.removeprefix("containerd-").replace("-", ".")
    (series,) = [one for one in told if f"{one}.".startswith(f"{own}.")]
    version = host.check_output("containerd --version").split()[2].removeprefix("v")
    assert version.startswith(f"{series}.")


def test_pods_that_name_the_runtime_run_by_it(environment):
    assert "GPU_MADE_VISIBLE=yes" in environment("nvidia")


def test_other_pods_run_by_it_only_where_it_is_the_default(name, environment):
    assert ("GPU_MADE_VISIBLE=yes" in environment("")) == (name == "containerd-1-7")


def test_runtime_is_as_the_default_one_but_for_its_program(name, dumps):
    before, now = dumps
    runtime = containerd_section(now)["runtimes"]["nvidia"]
    expected = containerd_section(before)["runtimes"]["runc"]
    expected["options"]["BinaryName"] = BINARY
    if name == "containerd-2":
        expected["privileged_without_host_devices"] = True
    # containerd takes the pods of a handler that names no sandboxer for its own, as those of runc.
    expected["sandboxer"] = runtime["sandboxer"] if "sandboxer" in expected else None
    assert _set(runtime.pop("options")) == _set(expected.pop("options"))
    assert _set(runtime) == _set(expected)


def _set(section: dict[str, Any]) -> dict[str, Any]:
    """What is not empty, which is how a dump shows what nobody has set."""
    return {key: value for key, value in section.items() if value}


def test_all_else_is_as_it_was(name, dumps):
    before, now = dumps
    section = containerd_section(now)
    del section["runtimes"]["nvidia"]
    for dump in dumps:
        dump.pop("imports", None)
    if name == "containerd-1-7":
        section["default_runtime_name"] = "runc"
    if name == "containerd-2":
        now["plugins"]["io.containerd.cri.v1.runtime"]["enable_cdi"] = before["plugins"][
            "io.containerd.cri.v1.runtime"
        ]["enable_cdi"]
    assert now == before


def test_files_of_others_keep_every_line(host, name):
    for path in host.check_output("cd /var/lib/before/etc && find . -name '*.toml'").splitlines():
        lines = host.file(f"/etc/containerd/{path}").content_string.splitlines()
        for line in host.file(f"/var/lib/before/etc/{path}").content_string.splitlines():
            assert line in lines or "default_runtime_name" in line or "imports" in line
    if name == "containerd-2":
        assert host.file("/etc/containerd/conf.d/80-kubegpu-sharing.toml").is_file


def test_link_is_still_one(host, name):
    assert host.file("/etc/containerd/config.toml").is_symlink == (name == "containerd-1-7")


def test_nothing_of_the_trial_is_left(host):
    assert host.check_output("find /etc/containerd -name '.*'") == ""
    assert not host.file("/var/lib/kubegpu-sharing/runtime/pending.json").exists


def test_cluster_has_a_name_for_it(runtime_classes):
    assert runtime_classes == ["nvidia"]
