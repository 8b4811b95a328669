# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a runtime serves, asked as each of them is."""

from __future__ import annotations

import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from unit.plugins.fakes.runtime_node import UNIT, RuntimeNode

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.probing import Probe
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import ProbeSettings
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

pytestmark = pytest.mark.node_side


@pytest.fixture
def install(node: RuntimeNode) -> Callable[[str, str], None]:
    """Put a program on the path."""

    def put(name: str, text: str) -> None:
        path = node.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return put


@pytest.fixture
def answer(node: RuntimeNode, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], str]]:
    """A socket of the node that gives everybody the same answer."""
    servers: list[socket.socket] = []

    def serve(text: bytes) -> str:
        path = node.path("/run/engine.sock")
        path.parent.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(path.parent)
        server = socket.socket(socket.AF_UNIX)
        server.bind(path.name)
        server.listen()
        servers.append(server)

        def loop() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(text)

        threading.Thread(target=loop, daemon=True).start()
        return "engine.sock"

    yield serve
    for server in servers:
        server.close()


def probe(kind: str, unit: str = UNIT, path: str | None = None) -> Probe:
    # Without a prefix, so that a short path of a socket can be used.
    return Probe(ProbeSettings(kind, path), [unit], Root("/"))


def problem(one: Probe, demanded: frozenset[str] | None = None) -> str | None:
    return one.wait(time.monotonic(), one.answering() if demanded is None else demanded)


@pytest.mark.parametrize(("kind", "unit"), [("docker", "docker.service"), ("crio", "crio.service")])
def test_docker_and_crio_are_asked_over_their_socket(
    node: RuntimeNode, answer: Callable[[bytes], str], kind: str, unit: str
) -> None:
    node.set_unit(unit, "active")
    assert "is answered by nobody" in str(problem(probe(kind, unit, "/nowhere.sock")))
    path = answer(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nOK")
    assert problem(probe(kind, unit, path)) is None
    node.set_unit(unit, "failed")
    assert f"{unit} is failed" in str(problem(probe(kind, unit, path)))


def test_answer_that_is_an_error_is_none(node: RuntimeNode, answer: Callable[[bytes], str]) -> None:
    node.set_unit("docker.service", "active")
    path = answer(b"HTTP/1.0 503 Unavailable\r\n\r\nstarting")
    assert "is answered by 503: starting" in str(problem(probe("docker", "docker.service", path)))


def test_tool_that_failed_before_says_nothing_about_the_change(
    node: RuntimeNode, install: Callable[[str, str], None]
) -> None:
    install("crictl", "echo 'unknown service runtime.v1alpha2' >&2; exit 1")
    one = probe("cri")
    assert one.answering() == {"ctr"}
    assert problem(one) is None
    assert "unknown service" in str(problem(one, frozenset({"ctr", "crictl"})))


def test_servers_have_to_be_ready_themselves(node: RuntimeNode, install: Callable[[str, str], None]) -> None:
    node.set_unit("k3s.service", "active")
    plugins = (
        "TYPE ID PLATFORMS STATUS\\nio.containerd.cri.v1 runtime linux/amd64 ok\\nio.containerd.grpc.v1 cri - ok\\n"
    )
    k3s = f'case "$1 $2" in "ctr --address") printf "{plugins}";; "kubectl get") echo "$*"; [ ! -e {node.root}/away ];; esac'
    install("k3s", k3s)
    one = probe("k3s", "k3s.service")
    assert one.answering() == {"ctr", "crictl", "readyz"}
    assert problem(one) is None
    node.write("/away", "")
    assert "kubectl get --raw /readyz ended with 1" in str(problem(one, frozenset({"ctr", "readyz"})))
    node.set_unit("k3s-agent.service", "active")
    assert probe("k3s", "k3s-agent.service").answering() == {"ctr", "crictl"}


def test_part_of_a_newer_containerd_that_is_not_loaded_is_named(
    node: RuntimeNode, install: Callable[[str, str], None]
) -> None:
    install("ctr", 'printf "io.containerd.cri.v1 images - error\\nio.containerd.cri.v1 runtime - ok\\n"')
    said = str(problem(probe("cri"), frozenset()))
    assert "is not loaded (io.containerd.cri.v1 images - error)" in said


@pytest.mark.parametrize(
    "listed",
    [
        "io.containerd.content.v1 content - ok",
        # 2.1 with disabled_plugins = ["io.containerd.grpc.v1.cri"]
        "io.containerd.cri.v1 images - ok\\nio.containerd.cri.v1 runtime linux/amd64 ok",
    ],
)
def test_containerd_without_that_part_is_told_so_at_once(
    node: RuntimeNode, install: Callable[[str, str], None], listed: str
) -> None:
    install("ctr", f'printf "{listed}\\n"')
    begun = time.monotonic()
    said = probe("cri").wait(begun + 60, frozenset())
    assert "no such plugin is listed" in str(said)
    assert time.monotonic() - begun < 30
