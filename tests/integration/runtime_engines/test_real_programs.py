# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What plans for Docker, k3s and MicroK8s come to in the programs that read the files: dockerd, and the containerd inside."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from unit.plugins.module_utils._runtime.nodes import BINARY, after, sample
from unit.plugins.module_utils._runtime.test_docker import docker
from unit.plugins.module_utils._runtime.test_k3s import BASE, FOLDER, OLD, SECOND, V2, V3, etc, generated, rancher
from unit.plugins.module_utils._runtime.test_microk8s import PATH as MICROK8S
from unit.plugins.module_utils._runtime.test_microk8s import fill_in, microk8s

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish
from hosts.containerds import program
from hosts.debian import Packages, unpacked
from hosts.fixture import skipped_where_unavailable

FULL = Wish(default=True, cdi="true")
DAEMON = "/etc/docker/daemon.json"


def of_debian(get: Callable[[], Path]) -> Path:
    with skipped_where_unavailable():
        return get()


@pytest.fixture(scope="module")
def dockerd() -> Path:
    unwanted = ("usr/bin/docker-proxy", "usr/libexec", "usr/share")
    return of_debian(lambda: unpacked(Packages("trixie", ("docker.io",), unwanted=unwanted)) / "usr/sbin/dockerd")


@pytest.fixture(scope="module")
def containerd() -> Callable[[str], Path]:
    return lambda series: of_debian(lambda: program(series))


def validated(dockerd: Path, path: Path, text: str, *flags: str) -> subprocess.CompletedProcess[str]:
    path.write_text(text, encoding="utf-8", newline="")
    # The package of the daemon alone lacks the proxy that it would look for.
    argv = [str(dockerd), "--validate", "--userland-proxy=false", "--config-file", str(path), *flags]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def dumped(containerd: Path, directory: Path, text: str) -> subprocess.CompletedProcess[str]:
    """`containerd config dump` of a config whose node directory is moved to `directory`."""
    path = directory / "config.toml"
    path.write_text(text.replace(etc(), str(directory)), encoding="utf-8", newline="")
    return subprocess.run(
        [str(containerd), "--config", str(path), "config", "dump"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def cri(dump: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert dump.returncode == 0, dump.stderr
    plugins: dict[str, Any] = tomlkit.parse(dump.stdout).unwrap()["plugins"]
    found: dict[str, Any] = plugins[V3 if V3 in plugins else V2]
    return found


@pytest.mark.parametrize("text", [sample("docker-daemon.json"), None, "", "{}", "\ufeff{\r\n}\r\n"])
def test_daemon_json_with_ours_is_valid_for_dockerd(dockerd: Path, tmp_path: Path, text: str | None) -> None:
    start = docker(text)
    configured = after(start, plan_runtime(FULL, start))
    done = validated(dockerd, tmp_path / "daemon.json", configured.text(DAEMON) or "")
    assert done.returncode == 0, done.stderr
    assert "configuration OK" in done.stdout + done.stderr


def test_dockerd_takes_an_empty_file_and_a_runtime_of_a_flag_beside_the_file(dockerd: Path, tmp_path: Path) -> None:
    assert validated(dockerd, tmp_path / "daemon.json", " \n").returncode == 0
    text = json.dumps({"runtimes": {"nvidia": {"path": BINARY}}})
    assert validated(dockerd, tmp_path / "daemon.json", text, "--add-runtime", f"nvidia={BINARY}").returncode == 0


def test_default_in_a_flag_too_would_keep_dockerd_from_starting_and_is_refused(dockerd: Path, tmp_path: Path) -> None:
    flag = "--default-runtime=runc"
    assert validated(dockerd, tmp_path / "daemon.json", "{}", flag).returncode == 0
    done = validated(dockerd, tmp_path / "daemon.json", '{"default-runtime": "nvidia"}', flag)
    assert "specified both as a flag and in the configuration file: default-runtime" in done.stderr
    assert plan_runtime(Wish(default=True), docker("{}", argv=(flag,))).problems


def test_microk8s_template_comes_out_as_it_was_and_the_runtime(
    containerd: Callable[[str], Path], tmp_path: Path
) -> None:
    start = microk8s()
    wish = Wish(default=True, privileged_without_host_devices="true")
    configured = after(start, plan_runtime(wish, start))
    before = cri(dumped(containerd("1.7"), tmp_path, fill_in(start.text(MICROK8S) or "")))
    now = cri(dumped(containerd("1.7"), tmp_path, fill_in(configured.text(MICROK8S) or "")))
    nvidia = now["containerd"]["runtimes"].pop("nvidia")
    assert nvidia["runtime_type"] == "io.containerd.runc.v2"
    assert nvidia["options"]["BinaryName"] == BINARY
    assert nvidia["privileged_without_host_devices"] is True
    assert now["containerd"].pop("default_runtime_name") == "nvidia"
    assert before["containerd"].pop("default_runtime_name") == "runc"
    assert now == before


@pytest.mark.parametrize(("series", "release"), [("1.7", OLD), ("2", SECOND)])
def test_k3s_template_comes_out_as_the_base_and_the_runtime(
    containerd: Callable[[str], Path], tmp_path: Path, series: str, release: tuple[str, str]
) -> None:
    start = rancher(release)
    (change,) = plan_runtime(Wish(name="gpu"), start).files
    text = (change.content or "").replace(BASE.strip(), generated(release)).replace("{{ .SystemdCgroup }}", "true")
    before = cri(dumped(containerd(series), tmp_path, generated(release)))
    now = cri(dumped(containerd(series), tmp_path, text))
    assert now["containerd"]["runtimes"].pop("gpu")["options"]["BinaryName"] == BINARY
    assert now == before


@pytest.mark.parametrize(("series", "release"), [("1.7", OLD), ("2", SECOND)])
def test_table_that_the_base_has_declared_again_stops_containerd(
    containerd: Callable[[str], Path], tmp_path: Path, series: str, release: tuple[str, str]
) -> None:
    header = next(
        line
        for line in generated(release).splitlines()
        if "nvidia" in line and line.endswith("]") and "options" not in line
    )
    text = generated(release) + f"{header}\n  privileged_without_host_devices = true\n"
    assert dumped(containerd(series), tmp_path, text).returncode != 0
    assert plan_runtime(Wish(privileged_without_host_devices="true"), rancher(release)).problems


def drop_in_of(start: Any, wish: Wish, directory: Path) -> None:
    (change,) = plan_runtime(wish, start).files
    path = directory / change.path[len(etc()) + 1 :]
    path.parent.mkdir()
    path.write_text(change.content or "", encoding="utf-8")


def test_k3s_drop_in_is_merged_over_what_the_base_found(containerd: Callable[[str], Path], tmp_path: Path) -> None:
    start = rancher(FOLDER)
    before = cri(dumped(containerd("2"), tmp_path, generated(FOLDER)))
    drop_in_of(start, Wish(privileged_without_host_devices="true", cdi="false"), tmp_path)
    now = cri(dumped(containerd("2"), tmp_path, generated(FOLDER)))
    assert now["containerd"]["runtimes"]["nvidia"].pop("privileged_without_host_devices") is True
    assert before["containerd"]["runtimes"]["nvidia"].pop("privileged_without_host_devices") is False
    assert (before.pop("enable_cdi"), now.pop("enable_cdi")) == (True, False)
    assert now == before


def test_drop_in_under_containerd_1_loses_the_network_and_is_refused(
    containerd: Callable[[str], Path], tmp_path: Path
) -> None:
    text = generated(OLD).replace("version = 2\n", f'version = 2\nimports = ["{etc()}/config.toml.d/*.toml"]\n')
    folder = tmp_path / "config.toml.d"
    folder.mkdir()
    assert cri(dumped(containerd("1.7"), tmp_path, text))["cni"]["bin_dir"] == "/var/lib/rancher/k3s/data/current/bin"
    (folder / "80-kubegpu-sharing.toml").write_text(
        f'version = 2\n[plugins."{V2}".containerd.runtimes.gpu]\n  runtime_type = "io.containerd.runc.v2"\n',
        encoding="utf-8",
    )
    assert cri(dumped(containerd("1.7"), tmp_path, text))["cni"]["bin_dir"] != "/var/lib/rancher/k3s/data/current/bin"
    (problem,) = plan_runtime(Wish(name="gpu"), rancher(OLD, {f"{etc()}/config.toml": text})).problems
    assert "network's settings would be lost" in problem
