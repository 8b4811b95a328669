# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubeconfig that cannot be read is named, with the place that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.filter.kubeconfig_problem import kubeconfig_problem


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("K8S_AUTH_HOST", "K8S_AUTH_KUBECONFIG", "KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def readable(tmp_path: Path) -> str:
    path = tmp_path / "kubeconfig"
    path.write_text("apiVersion: v1\n", encoding="utf-8")
    return str(path)


def test_kubeconfig_that_can_be_read_is_no_problem(readable: str) -> None:
    assert kubeconfig_problem(readable) == ""


def test_kubeconfig_of_the_variable_is_named_with_it(tmp_path: Path) -> None:
    said = kubeconfig_problem(f"{tmp_path}/none")
    assert said.startswith(f"The kubeconfig of kubegpu_kubeconfig cannot be used: {tmp_path}/none does not exist.")
    assert said.endswith("Set kubegpu_kubeconfig in the inventory or with -e.")


@pytest.mark.parametrize("name", ["K8S_AUTH_KUBECONFIG", "KUBECONFIG"])
def test_kubeconfig_of_the_environment_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "/none/such")
    assert kubeconfig_problem("").startswith(
        f"The kubeconfig of {name} in the environment cannot be used: /none/such does not exist."
    )


def test_kubeconfig_that_nobody_gave_is_the_one_of_kubectl(tmp_path: Path) -> None:
    said = kubeconfig_problem("")
    assert said.startswith("No kubeconfig was given, and that of kubectl is of no use:")
    assert f"{tmp_path}/home/.kube/config does not exist" in said
    (tmp_path / "home/.kube").mkdir(parents=True)
    (tmp_path / "home/.kube/config").write_text("apiVersion: v1\n", encoding="utf-8")
    assert kubeconfig_problem("") == ""


def test_kubeconfig_of_the_variable_comes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, readable: str
) -> None:
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", "/none/such")
    assert kubeconfig_problem(readable) == ""
    assert "kubegpu_kubeconfig" in kubeconfig_problem("/none/other")


def test_kubeconfig_is_not_needed_with_a_host_or_in_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    assert kubeconfig_problem("") == ""
    assert "does not exist" in kubeconfig_problem("/none/such"), "one that was asked for is used"
    monkeypatch.setenv("K8S_AUTH_HOST", "https://10.96.0.1")
    assert kubeconfig_problem("/none/such") == ""


def test_kubeconfig_of_several_paths_needs_one_of_them(readable: str) -> None:
    assert kubeconfig_problem(f"/none/such:{readable}") == ""
    assert "/none/such does not exist; /none/other does not exist" in kubeconfig_problem("/none/such:/none/other")


def test_kubeconfig_that_is_no_file_or_empty_is_told(tmp_path: Path) -> None:
    assert f"{tmp_path} is a directory" in kubeconfig_problem(str(tmp_path))
    (tmp_path / "empty").touch()
    assert f"{tmp_path}/empty is empty" in kubeconfig_problem(str(tmp_path / "empty"))


def test_kubeconfig_that_the_user_may_not_read_is_told(monkeypatch: pytest.MonkeyPatch, readable: str) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert f"{readable} is not readable by the user that runs Ansible" in kubeconfig_problem(readable)
