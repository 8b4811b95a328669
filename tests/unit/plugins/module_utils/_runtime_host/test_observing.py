# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found of a node's container runtime."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

import pytest
from unit.plugins.fakes.runtime_node import CONFIG, DROP_IN, UNREADABLE, RuntimeNode, checksum

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observing import Look, observe
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

pytestmark = pytest.mark.node_side

DOCKERS = 'disabled_plugins = ["cri"]\n'


def look(node: RuntimeNode, engine: str = "auto", **more: Any) -> dict[str, Any]:
    return observe(Look(engine=engine, root=Root(str(node.root)), **more))


def test_containerd_is_found_with_its_version_its_files_and_their_sum(node: RuntimeNode) -> None:
    found = look(node)
    assert (found["engine"], found["version"], found["problem"]) == ("containerd", "1.6.20~ds1", None)
    assert found["files"][CONFIG]["sha256"] == checksum("version = 2\n")
    assert found["files"][CONFIG]["writable"]
    assert found["files"]["/etc/nvidia-container-runtime/config.toml"]["type"] == "missing"
    assert found["dump"]["stdout"].endswith("version = 2\n")
    assert found["pending"] is None
    assert found["lock_free"]
    assert [unit["active"] for unit in found["candidates"][0]["units"]] == ["active"]


def test_what_was_found_of_each_runtime_is_said(node: RuntimeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    node.set_unit("docker.service", "inactive")
    node.path("/run/containerd").mkdir(parents=True)
    monkeypatch.chdir(node.path("/run/containerd"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("containerd.sock")
        said = {one["engine"]: one["evidence"] for one in look(node)["candidates"]}
    assert said == {
        "containerd": [
            "containerd.service is active.",
            "The socket /run/containerd/containerd.sock is there.",
            f"{CONFIG} is there.",
        ],
        "docker": ["docker.service is inactive."],
    }


def test_config_is_the_one_that_the_service_names(node: RuntimeNode) -> None:
    node.set_flags(" --log-level=info --config /srv/containerd.toml")
    node.write("/srv/containerd.toml", "version = 3\n")
    found = look(node)
    assert found["config_path"] == "/srv/containerd.toml"
    assert found["files"]["/srv/containerd.toml"]["content"] == "version = 3\n"
    assert found["dump"]["stdout"].endswith("version = 3\n")


def test_drop_in_beside_the_named_config_is_seen_though_nothing_imports_it(node: RuntimeNode) -> None:
    node.set_flags(" --config /srv/containerd.toml")
    node.write("/srv/containerd.toml", "version = 3\n")
    node.write("/srv/conf.d/80-kubegpu-sharing.toml", "version = 3\n# ours\n")
    found = look(node)
    assert found["files"]["/srv/conf.d/80-kubegpu-sharing.toml"]["content"] == "version = 3\n# ours\n"
    assert found["listings"]["/srv/conf.d"] == ["80-kubegpu-sharing.toml"]


def test_imported_files_are_read_and_those_that_they_import(node: RuntimeNode) -> None:
    imports = 'imports = [ # mine\n  "conf.d/*.toml", \'/srv/one.toml\',\n]\n[plugins]\nimports = ["/no"]\n'
    node.write(CONFIG, imports)
    node.write(DROP_IN, 'imports = ["../config.toml", "/srv/two.toml"]\n')
    node.write("/etc/containerd/conf.d/.hidden.toml", "")
    node.write("/etc/containerd/conf.d/README", "")
    node.write("/srv/two.toml", "x = 1\n")
    found = look(node)
    assert {"/etc/containerd/conf.d/.hidden.toml", DROP_IN, "/srv/one.toml", "/srv/two.toml"} <= set(found["files"])
    assert found["files"]["/srv/one.toml"]["type"] == "missing"
    assert "/no" not in found["files"]
    assert found["listings"]["/etc/containerd/conf.d"] == [".hidden.toml", "80-kubegpu-sharing.toml", "README"]


def test_what_is_no_readable_file_is_said(node: RuntimeNode) -> None:
    node.path(CONFIG).write_bytes(b"\xff\xfe")
    node.path(DROP_IN).mkdir(parents=True)
    node.write("/etc/containerd/conf.d/link.toml.real", "x = 1\n")
    node.path("/etc/containerd/conf.d/link.toml").symlink_to("link.toml.real")
    files = look(node)["files"]
    assert "is no UTF-8 text" in files[CONFIG]["problem"]
    assert files[DROP_IN]["type"] == "directory"
    link = files["/etc/containerd/conf.d/link.toml"]
    assert (link["link"], link["content"]) == ("/etc/containerd/conf.d/link.toml.real", "x = 1\n")


def test_file_that_is_too_large_for_settings_is_not_read(node: RuntimeNode) -> None:
    with open(node.path(CONFIG), "ab") as file:
        file.truncate(5 * 1024 * 1024)
    found = look(node)["files"][CONFIG]
    assert (found["sha256"], found["content"], found["size"]) == (None, None, 5 * 1024 * 1024)
    assert "which no file of settings has; it was not read" in found["problem"]


@pytest.mark.parametrize(
    ("started", "written", "changed"),
    [
        pytest.param(1000.0, 10.0, True, id="after"),
        pytest.param(10.0, 1000.0, False, id="before"),
        pytest.param(10.0, 9.5, False, id="with-the-start"),
        pytest.param(1000.0, -1000.0, False, id="by-a-clock-that-was-wrong"),
        pytest.param(None, 10.0, False, id="start-is-not-known"),
    ],
)
def test_file_that_was_changed_since_the_service_was_started_is_told(
    node: RuntimeNode, started: float | None, written: float, changed: bool
) -> None:
    if started is not None:
        node.start_was(started)
    node.write_ago(CONFIG, "version = 2\n", written)
    files = look(node)["files"]
    assert files[CONFIG]["changed_since_start"] is changed
    assert files["/etc/nvidia-container-runtime/config.toml"]["changed_since_start"] is False


def test_of_a_link_the_time_of_what_it_leads_to_counts(node: RuntimeNode) -> None:
    node.start_was(100)
    node.write_ago("/srv/containerd.toml", "version = 2\n", 1000)
    node.path(CONFIG).unlink()
    node.path(CONFIG).symlink_to(node.path("/srv/containerd.toml"))
    assert look(node)["files"][CONFIG]["changed_since_start"] is False
    node.write("/srv/containerd.toml", "version = 2\n# mine\n")
    assert look(node)["files"][CONFIG]["changed_since_start"] is True


def test_dump_that_fails_is_told_and_the_rest_is_there(node: RuntimeNode) -> None:
    node.write(CONFIG, UNREADABLE)
    found = look(node)
    assert found["dump"]["rc"] == 1
    assert "expecting a value" in found["dump"]["stderr"]
    assert found["version"] == "1.6.20~ds1"


def test_node_without_a_runtime_says_so(node: RuntimeNode) -> None:
    (node.programs.parent / "state/units/containerd.service").unlink()
    found = look(node)
    assert found["engine"] is None
    assert "No container runtime was found on this node" in found["problem"]
    assert "The engine crio is not on this node" in look(node, "crio")["problem"]


def test_masked_service_is_told_as_that_and_hides_no_other(node: RuntimeNode) -> None:
    node.mask_unit("containerd.service")
    for engine in ("auto", "containerd"):
        problem = look(node, engine)["problem"]
        assert problem.startswith("containerd.service is masked, so systemd does not start it")
        assert "'systemctl unmask containerd.service'" in problem
    assert "containerd.service is masked." in look(node)["candidates"][0]["evidence"]
    node.set_unit("crio.service", "inactive")
    assert look(node)["engine"] == "crio"


def test_node_on_which_systemd_does_not_answer_says_so(node: RuntimeNode) -> None:
    (node.programs / "systemctl").write_text("#!/bin/sh\necho 'System has not been booted with systemd' >&2\nexit 1\n")
    assert "System has not been booted with systemd" in look(node)["problem"]


def test_service_of_another_name_is_found_by_its_alias(node: RuntimeNode) -> None:
    node.rename_unit("own-containerd.service")
    found = look(node)
    assert (found["engine"], found["problem"]) == ("containerd", None)
    assert [unit["name"] for unit in found["candidates"][0]["units"]] == ["own-containerd.service"]


def test_two_runtimes_that_run_are_told_apart_by_the_kubelet_alone(node: RuntimeNode) -> None:
    node.set_unit("crio.service", "active")
    problem = look(node)["problem"]
    assert "nothing tells which one the kubelet uses" in problem
    assert "containerd or crio" in problem
    node.write("/var/lib/kubelet/config.yaml", "kind: x\ncontainerRuntimeEndpoint: unix:///var/run/crio/crio.sock\n")
    assert look(node)["engine"] == "crio"
    assert look(node, "containerd")["engine"] == "containerd"


def test_runtime_that_runs_is_meant_and_not_one_that_does_not(node: RuntimeNode) -> None:
    node.set_unit("docker.service", "inactive")
    assert look(node)["engine"] == "containerd"


def test_containerd_that_only_serves_docker_is_not_meant(node: RuntimeNode) -> None:
    node.set_unit("docker.service", "active")
    assert "More than one" in look(node)["problem"]
    node.write(CONFIG, DOCKERS)
    assert look(node)["engine"] == "docker"


@pytest.mark.parametrize(
    ("unit", "engine", "role"),
    [
        ("k3s.service", "k3s", "server"),
        ("k3s-agent.service", "k3s", "agent"),
        ("rke2-server.service", "rke2", "server"),
    ],
)
def test_node_of_k3s_and_rke2_is_found_with_its_role_and_files(
    node: RuntimeNode, unit: str, engine: str, role: str
) -> None:
    node.set_unit("containerd.service", "inactive")
    node.set_unit(unit, "active")
    base = f"/var/lib/rancher/{engine}/agent/etc/containerd"
    node.write(f"/etc/rancher/{engine}/config.yaml", "token: x\n")
    node.write(f"/etc/rancher/{engine}/config.yaml.d/10-site.yaml", "debug: true\n")
    node.write(f"{base}/config-v3.toml.d/x.toml", "version = 3\n")
    found = look(node)
    assert (found["engine"], found["candidates"][-1]["role"]) == (engine, role)
    assert found["config_path"] == f"{base}/config.toml"
    assert found["files"][f"/etc/rancher/{engine}/config.yaml.d/10-site.yaml"]["content"] == "debug: true\n"
    assert found["listings"][f"{base}/config-v3.toml.d"] == ["x.toml"]


def test_data_directory_of_k3s_is_where_its_config_says(node: RuntimeNode) -> None:
    node.set_unit("containerd.service", "inactive")
    node.set_unit("k3s.service", "active")
    node.write("/etc/rancher/k3s/config.yaml", "data-dir: /srv/k3s\n")
    assert look(node)["config_path"] == "/srv/k3s/agent/etc/containerd/config.toml"
    # As K3s does, the last file counts, and a flag more than any.
    node.write("/etc/rancher/k3s/config.yaml.d/10-site.yaml", "data-dir: /srv/other\n")
    # K3s does not read what has another ending.
    node.write("/etc/rancher/k3s/config.yaml.d/10-site.yaml.bak", "data-dir: /srv/old\n")
    assert look(node)["config_path"] == "/srv/other/agent/etc/containerd/config.toml"
    node.set_flags(" server --data-dir=/srv/flag")
    assert look(node)["config_path"] == "/srv/flag/agent/etc/containerd/config.toml"


class Docker(BaseHTTPRequestHandler):
    """The two answers that are asked for."""

    ANSWERS = {
        "/info": b'{"LiveRestoreEnabled": false, "Swarm": {"LocalNodeState": "active"}, "Runtimes": {"runc": {}}}',
        "/containers/json": b'[{"Id": "abc", "Names": ["/train-0"]}]',
        "/_ping": b"OK",
    }

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.ANSWERS[self.path])

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nobody reads it."""

    def address_string(self) -> str:
        return "socket"


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Iterator[RuntimeNode]:
    """A node whose Docker answers, in a directory of its own: that of a test may be longer than the path of a socket may be."""
    with tempfile.TemporaryDirectory(prefix="kubegpu-", dir="/tmp") as directory:
        node = RuntimeNode(Path(directory))
        monkeypatch.setenv("PATH", f"{node.programs}{os.pathsep}{os.environ['PATH']}")
        node.set_unit("containerd.service", "inactive")
        node.set_unit("docker.service", "active")
        node.path("/var/run").mkdir(parents=True)
        server = UnixStreamServer(str(node.path("/var/run/docker.sock")), Docker)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield node
        server.shutdown()
        server.server_close()


def test_docker_says_whether_its_restart_kills_containers_and_which(docker: RuntimeNode) -> None:
    docker.write("/etc/docker/daemon.json", "{}\n")
    found = look(docker)
    assert found["config_path"] == "/etc/docker/daemon.json"
    assert found["live"]["live_restore"] is False
    assert found["live"]["swarm"] is True
    assert found["live"]["containers"] == ["train-0"]
    assert found["candidates"][-1]["socket"] == "/var/run/docker.sock"


def test_socket_without_a_service_cannot_be_restarted(node: RuntimeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    (node.programs.parent / "state/units/containerd.service").unlink()
    node.path("/run/crio").mkdir(parents=True)
    monkeypatch.chdir(node.path("/run/crio"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("crio.sock")
        found = look(node)
    assert found["engine"] == "crio"
    assert "systemd has no unit crio.service" in found["problem"]


def test_programs_are_told_with_what_they_link_to(node: RuntimeNode) -> None:
    node.write("/opt/toolkit/nvidia-container-runtime", "#!/bin/sh\n")
    node.path("/opt/toolkit/nvidia-container-runtime").chmod(0o755)
    node.path("/usr/bin/nvidia-container-runtime").symlink_to("/opt/toolkit/nvidia-container-runtime")
    found = look(node, binaries=("/opt/toolkit/nvidia-container-runtime", "/opt/none"))["binaries"]
    assert found["/opt/toolkit/nvidia-container-runtime"] == {"exists": True, "executable": True, "link": None}
    assert not found["/opt/none"]["exists"]


def test_change_under_way_and_one_that_was_left_are_told(node: RuntimeNode) -> None:
    state = "/var/lib/kubegpu-sharing/runtime"
    node.write(f"{state}/pending.json", '{"schema_version": 1, "run": "r0", "phase": "restarting", "files": {}}')
    node.write(f"{state}/record.json", "not json")
    with HostLock("r1", "change", str(node.path("/run/lock/kubegpu-sharing.lock"))):
        found = look(node)
    assert not found["lock_free"]
    assert found["pending"]["run"] == "r0"
    assert found["pending"]["owed"]
    assert "record.json is no JSON" in found["record_problem"]


def test_change_that_goes_on_is_told_as_that_and_not_as_one_that_was_interrupted(node: RuntimeNode) -> None:
    state = "/var/lib/kubegpu-sharing/runtime"
    marker = {"schema_version": 1, "run": "r0", "pid": os.getpid(), "phase": "confirming", "files": {}}
    node.write(f"{state}/pending.json", json.dumps(marker))
    assert look(node)["problem"] is None
    with HostLock("r0", "change settings", str(node.path("/run/lock/kubegpu-sharing.lock"))) as lock:
        problem = look(node)["problem"]
        assert problem.startswith(
            "The container runtime of this node is being changed at this moment, by run r0 (process "
        )
        assert problem.endswith("Wait until it has ended, then run again.")
        lock.advise("It waits until 20:07:05Z to be confirmed.")
        assert look(node)["problem"].endswith("It waits until 20:07:05Z to be confirmed.")


def test_marker_that_cannot_be_read_is_a_change_all_the_same(node: RuntimeNode) -> None:
    node.write("/var/lib/kubegpu-sharing/runtime/pending.json", "{")
    assert look(node)["pending"]["owed"]


def test_marker_of_a_run_that_replaced_nothing_owes_nothing(node: RuntimeNode) -> None:
    files = f'{{"{CONFIG}": {{"before": "{checksum(node.read(CONFIG))}", "after": "x"}}}}'
    node.write(
        "/var/lib/kubegpu-sharing/runtime/pending.json",
        f'{{"schema_version": 1, "run": "r0", "phase": "preparing", "files": {files}}}',
    )
    assert not look(node)["pending"]["owed"]
    node.write(CONFIG, "somebody has written since\n")
    assert look(node)["pending"]["owed"]


@pytest.mark.parametrize(
    ("flags", "config", "told"),
    [
        ("", '[grpc]\n  gid = 0\n  address = "/run/own/c.sock"\n', "/run/own/c.sock"),
        ("", "[plugins.'io.containerd.server.v1.grpc']\n  address = '/run/own/c.sock'\n", "/run/own/c.sock"),
        (" --address=/run/flag.sock", '[grpc]\n  address = "/run/own/c.sock"\n', "/run/flag.sock"),
        ("", '[debug]\n  address = "/run/debug.sock"\n[grpc]\n  gid = 0\n', None),
    ],
)
def test_containerd_is_asked_where_its_settings_have_it_answer(
    node: RuntimeNode, flags: str, config: str, told: str | None
) -> None:
    node.set_flags(flags)
    node.write(CONFIG, config)
    found = look(node)["candidates"][0]
    assert found["socket"] == told
    assert ("where nothing is" in " ".join(found["evidence"])) == (told is not None)


def test_crio_is_asked_where_the_last_of_its_files_has_it_answer(node: RuntimeNode) -> None:
    node.set_unit("crio.service", "active")
    node.write("/etc/crio/crio.conf", '[crio.api]\nlisten = "/run/a.sock"\n')
    node.write("/etc/crio/crio.conf.d/10-own.conf", '[crio.api]\nlisten = "/run/b.sock"\n')
    assert [one["socket"] for one in look(node, "crio")["candidates"] if one["engine"] == "crio"] == ["/run/b.sock"]


def test_docker_is_asked_at_the_socket_that_its_file_names(node: RuntimeNode) -> None:
    node.set_unit("docker.service", "active")
    node.write("/etc/docker/daemon.json", '{"hosts": ["tcp://127.0.0.1:2375", "unix:///run/d.sock"]}')
    assert [one["socket"] for one in look(node, "docker")["candidates"] if one["engine"] == "docker"] == ["/run/d.sock"]
