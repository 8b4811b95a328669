# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's side of the role: its RuntimeClass, and pods that keep it from being taken away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from simulator.cluster import SimulatedCluster

CLASSES = "/apis/node.k8s.io/v1/runtimeclasses"
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(autouse=True)
def clean(cluster: SimulatedCluster) -> Iterator[None]:
    yield
    # One that a test has not used up would be the next one's.
    cluster.clear_api_faults()
    client = cluster.client()
    for path in (PODS, CLASSES):
        for item in client.items(path):
            client.delete(f"{path}/{item['metadata']['name']}")
    cluster.wait_until(lambda: not client.items(PODS), 60, "the end of all pods")


def run(
    cluster: SimulatedCluster,
    directory: Path,
    part: str,
    *more: str,
    default: bool = False,
    state: str = "present",
    other: str = "",
    groups: str = "",
    **more_of_the_play: Any,
) -> tuple[int, str]:
    """Exit status and output of a part of the role on two hosts, of which the second is not the node.

    :param part: the cluster's side of absent is one with the question that comes before the change.
    :param default: whether the runtime that is there is the default one.
    :param other: variables of the second host.
    :param groups: more of the inventory.
    """
    look = {
        "was_default": default,
        "was_name": "{{ was | default('nvidia') }}",
        "would_change": "{{ changes | default(true) }}",
    }
    look |= {"one_at_a_time": False, "digest": "0"}
    parts = ["keep_pods.yml", "remove.yml"] if part == "remove.yml" else [part]
    state = "absent" if part == "remove.yml" else state
    variables = {"kubegpu_kubeconfig": str(cluster.kubeconfig), "__nvidia_container_runtime_look": look}
    variables |= {"__nvidia_container_runtime_result": {}}
    variables |= {"kubegpu_runtime_state": f"{{{{ state | default('{state}') }}}}"}
    play = {"hosts": "gpu-1,other", "gather_facts": False, "connection": "local", "vars": variables}
    play |= {"tasks": [include(part) for part in parts], **more_of_the_play}
    playbook = directory / "play.yml"
    playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
    inventory = directory / "hosts"
    inventory.write_text(f"[all]\ngpu-1\nother {other}\n{groups}", encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), str(playbook), *more]
    python = ["-e", f"ansible_python_interpreter={sys.executable}"]
    environment = {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        [*command, *python], check=False, capture_output=True, text=True, timeout=120, env=environment
    )
    return done.returncode, done.stdout + done.stderr


def include(part: str) -> dict[str, Any]:
    return {
        "name": "Run a part",
        "ansible.builtin.include_role": {"name": "kubegpu.sharing.nvidia_container_runtime", "tasks_from": part},
    }


def pod(cluster: SimulatedCluster, name: str, **spec: Any) -> None:
    container = {"name": "c", "image": "x", **spec.pop("container", {})}
    body = {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}
    cluster.client().create(PODS, body)


def kubeconfig_of_a_reader(cluster: SimulatedCluster, directory: Path) -> Path:
    """Of somebody who may look at everything, and change nothing."""
    client, rbac = cluster.client(), "/apis/rbac.authorization.k8s.io/v1"
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    client.create(accounts, {"metadata": {"name": "reader"}})
    rule = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    client.create(f"{rbac}/clusterroles", {"metadata": {"name": "reader"}, "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"}
    who = {"kind": "ServiceAccount", "namespace": "default", "name": "reader"}
    client.create(f"{rbac}/clusterrolebindings", {"metadata": {"name": "reader"}, "roleRef": role, "subjects": [who]})
    token = client.create(f"{accounts}/reader/token", {"spec": {"expirationSeconds": 3600}})["status"]["token"]
    config = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
    config["users"][0]["user"] = {"token": token}
    path = directory / "reader.kubeconfig"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def names(cluster: SimulatedCluster) -> list[str]:
    return [item["metadata"]["name"] for item in cluster.client().items(CLASSES)]


def test_class_is_made_once_and_goes_with_the_runtime(cluster: SimulatedCluster, tmp_path: Path) -> None:
    before = cluster.position()
    code, said = run(cluster, tmp_path, "runtime_class.yml", "--check")
    assert (code, names(cluster)) == (0, []), said
    assert "changed=1" in said
    # Credentials that may only read are enough for it.
    assert {request["verb"] for request in cluster.audit(before)} == {"GET"}
    code, said = run(cluster, tmp_path, "runtime_class.yml")
    assert (code, names(cluster)) == (0, ["nvidia"]), said
    assert "changed=1" in said
    (made,) = cluster.client().items(CLASSES)
    assert made["handler"] == "nvidia"
    code, said = run(cluster, tmp_path, "runtime_class.yml")
    assert code == 0, said
    assert "changed=1" not in said

    # It is for the hosts that a limited run leaves out as well.
    code, said = run(cluster, tmp_path, "remove.yml", "--limit", "gpu-1")
    assert (code, names(cluster)) == (0, ["nvidia"]), said
    assert "The RuntimeClass nvidia stays: the run is limited (--limit gpu-1)." in " ".join(said.split())
    # A play may leave hosts out as well.
    code, said = run(cluster, tmp_path, "remove.yml", groups="gpu-9\n[gpu_nodes]\ngpu-1\nother\ngpu-9\n")
    assert (code, names(cluster)) == (0, ["nvidia"]), said
    assert "The RuntimeClass nvidia stays: the runtime may still be on gpu-9." in " ".join(said.split())
    # Another host of the play keeps the runtime.
    code, said = run(cluster, tmp_path, "remove.yml", other="state=present")
    assert (code, names(cluster)) == (0, ["nvidia"]), said
    before = cluster.position()
    code, said = run(cluster, tmp_path, "remove.yml", "--check")
    assert (code, names(cluster)) == (0, ["nvidia"]), said
    assert {request["verb"] for request in cluster.audit(before)} == {"GET"}
    # It goes with the last batch: a host of a later one may keep the runtime, or fail.
    code, said = run(cluster, tmp_path, "remove.yml", serial=1, other="state=present")
    assert (code, names(cluster)) == (0, ["nvidia"]), said
    code, said = run(cluster, tmp_path, "remove.yml", serial=1)
    assert (code, names(cluster)) == (0, []), said
    assert "stays" not in said


@pytest.mark.parametrize("ignore_errors", [False, True])
def test_class_stays_while_a_host_has_kept_the_runtime(
    cluster: SimulatedCluster, tmp_path: Path, ignore_errors: bool
) -> None:
    """A host that goes back to its old files has the runtime, and pods that name it can run there."""
    run(cluster, tmp_path, "runtime_class.yml")
    failing = ["-e", f"kubegpu_runtime_root={tmp_path}"]
    code, said = run(
        cluster,
        tmp_path,
        "take_out.yml",
        *failing,
        state="absent",
        groups="[all:vars]\nchanges=False\n",
        other="changes=True",
        ignore_errors=ignore_errors,
    )
    assert (code, names(cluster)) == (0 if ignore_errors else 2, ["nvidia"]), said
    said = " ".join(said.split())
    assert "The RuntimeClass nvidia stays: the runtime may still be on other." in said, said


def test_class_that_may_not_be_deleted_is_told_and_goes_with_the_next_run(
    cluster: SimulatedCluster, tmp_path: Path
) -> None:
    run(cluster, tmp_path, "runtime_class.yml")
    done = ["-e", '{"changes": false}']
    cluster.fault("api", method="DELETE", path="runtimeclasses", status=403, reason="Forbidden", message="not yours")
    code, said = run(cluster, tmp_path, "take_out.yml", *done, state="absent")
    assert (code, names(cluster)) == (2, ["nvidia"]), said
    said = " ".join(said.split())
    assert "The RuntimeClass nvidia could not be removed: " in said
    assert "not yours" in said
    code, said = run(cluster, tmp_path, "take_out.yml", *done, state="absent")
    assert (code, names(cluster)) == (0, []), said


def test_class_that_may_not_be_made_is_told_before_a_runtime_is_changed(
    cluster: SimulatedCluster, tmp_path: Path
) -> None:
    reader = ["-e", f"kubegpu_kubeconfig={kubeconfig_of_a_reader(cluster, tmp_path)}"]
    code, said = run(cluster, tmp_path, "put_in.yml", *reader, "-e", f"kubegpu_runtime_root={tmp_path}")
    assert (code, names(cluster)) == (2, []), said
    said = " ".join(said.split())
    assert "The RuntimeClass nvidia could not be made: " in said
    assert "cannot create resource" in said
    assert (
        "No container runtime of this batch was changed. Get the right to create RuntimeClasses (node.k8s.io)," in said
    )
    assert "set kubegpu_runtime_class to false." in said
    assert "Ask for the runtime" not in said


@pytest.mark.parametrize("default", [False, True])
def test_class_of_the_old_name_is_told_after_a_change_of_the_name(
    cluster: SimulatedCluster, tmp_path: Path, default: bool
) -> None:
    run(cluster, tmp_path, "runtime_class.yml")
    wanted = ["-e", "kubegpu_runtime_name=gpu", "-e", f"kubegpu_runtime_default={default}"]
    code, said = run(cluster, tmp_path, "put_in.yml", "--check", *wanted)
    assert (code, names(cluster)) == (0, ["nvidia"]), said
    words = "The RuntimeClass nvidia stays, for nodes that have the runtime under its old name. Once there are none: "
    assert " ".join(said.split()).count(f"{words}kubectl delete runtimeclass nvidia") == 1
    # Not where a host has that name, nor of a class that somebody else has made.
    code, said = run(
        cluster, tmp_path, "put_in.yml", "--check", groups="[all:vars]\nkubegpu_runtime_name=gpu\n", other="was=gpu"
    )
    assert (code, words in " ".join(said.split())) == (0, True), said
    code, said = run(cluster, tmp_path, "put_in.yml", "--check", other="kubegpu_runtime_name=gpu")
    assert (code, words in " ".join(said.split())) == (0, False), said


def test_class_that_would_be_made_is_told_once(cluster: SimulatedCluster, tmp_path: Path) -> None:
    """Also where one host has more to do than another."""
    part = "{{ part | default('runtime_class.yml') }}"
    code, said = run(cluster, tmp_path, part, "--check", other="part=put_in.yml kubegpu_runtime_name=cuda")
    assert code == 0, said
    assert said.count("The RuntimeClass cuda, nvidia would be made.") == 1, said


def test_class_of_somebody_else_is_left_and_one_of_another_handler_refused(
    cluster: SimulatedCluster, tmp_path: Path
) -> None:
    client = cluster.client()
    client.create(CLASSES, {"metadata": {"name": "nvidia", "labels": {"owner": "operator"}}, "handler": "nvidia"})
    before = client.get(f"{CLASSES}/nvidia")
    for part in ("runtime_class.yml", "remove.yml"):
        code, said = run(cluster, tmp_path, part)
        assert code == 0, said
        assert client.get(f"{CLASSES}/nvidia") == before
    code, said = run(
        cluster,
        tmp_path,
        "runtime_class.yml",
        "-e",
        "kubegpu_runtime_name=gpu",
        "-e",
        "kubegpu_runtime_class_name=nvidia",
    )
    assert code != 0
    said = " ".join(said.split())
    assert "stands for the handler nvidia, not for gpu" in said
    assert "No RuntimeClass was changed, and no container runtime of this batch." in said


def test_absent_is_refused_while_pods_use_the_class(cluster: SimulatedCluster, tmp_path: Path) -> None:
    run(cluster, tmp_path, "runtime_class.yml")
    pod(cluster, "train-0", runtimeClassName="nvidia")
    pod(cluster, "plain")
    code, said = run(cluster, tmp_path, "remove.yml")
    assert (code, names(cluster)) == (2, ["nvidia"]), said
    said = " ".join(said.split())
    assert "because pods of this cluster, on whatever node, use the RuntimeClass nvidia: default/train-0. Where" in said
    # The pod may be on any node: nobody is to end it for the sake of one that it is not on.
    assert "To take it out everywhere, remove these pods, or have them name no RuntimeClass, and run again." in said
    alone = "To take it out of this node alone, drain and cordon it, then run with --limit"
    assert f"{alone} gpu-1 -e kubegpu_runtime_class=false." in said
    # That goes on to the runtime, which is none here.
    this = ["--limit", "gpu-1", "-e", "kubegpu_runtime_class=false", "-e", f"kubegpu_runtime_root={tmp_path}"]
    code, said = run(cluster, tmp_path, "take_out.yml", *this, state="absent")
    assert (code, "Ask for the runtime" in said, names(cluster)) == (2, True, ["nvidia"]), said


def test_long_list_of_pods_is_cut(cluster: SimulatedCluster, tmp_path: Path) -> None:
    run(cluster, tmp_path, "runtime_class.yml")
    for number in range(22):
        pod(cluster, f"train-{number:02}", runtimeClassName="nvidia")
    code, said = run(cluster, tmp_path, "remove.yml")
    assert code == 2, said
    assert "default/train-18, default/train-19 and 2 more. Where" in " ".join(said.split())
    assert "train-20" not in said


@pytest.mark.parametrize(
    "options",
    [{"kubegpu_runtime_name": "gpu"}, {"kubegpu_runtime_name": "gpu", "kubegpu_runtime_class_name": "cards"}],
    ids=["its-own", "given"],
)
def test_absent_asks_about_the_class_of_the_runtime_that_is_there_and_removes_that(
    cluster: SimulatedCluster, tmp_path: Path, options: dict[str, str]
) -> None:
    """Also where the runtime has another name in the settings of the run that takes it out."""
    there = options.get("kubegpu_runtime_class_name", "nvidia")
    run(cluster, tmp_path, "runtime_class.yml", "-e", f"kubegpu_runtime_class_name={there}")
    cluster.client().create(CLASSES, {"metadata": {"name": "gpu"}, "handler": "gpu"})
    pod(cluster, "train-0", runtimeClassName=there)
    renamed = [word for name, value in options.items() for word in ("-e", f"{name}={value}")]
    code, said = run(cluster, tmp_path, "remove.yml", *renamed)
    assert (code, names(cluster)) == (2, sorted(["gpu", there])), said
    words = "The runtime nvidia of gpu-1 was left as it is, because pods of this cluster, on whatever node, use the RuntimeClass"
    assert f"{words} {there}: default/train-0. Where the node has it no more" in " ".join(said.split())
    cluster.client().delete(f"{PODS}/train-0")
    cluster.wait_until(lambda: not cluster.client().items(PODS), 60, "the end of the pod")
    code, said = run(cluster, tmp_path, "remove.yml", *renamed)
    assert (code, names(cluster)) == (0, ["gpu"]), said


def test_absent_of_the_default_is_refused_while_gpu_pods_run_on_the_node(
    cluster: SimulatedCluster, tmp_path: Path
) -> None:
    pod(cluster, "nlp", nodeName="gpu-1", container={"resources": {"limits": {"nvidia.com/gpu": "1"}}})
    code, said = run(cluster, tmp_path, "runtime_class.yml")
    assert code == 0, said
    code, said = run(cluster, tmp_path, "remove.yml", default=True)
    assert (code, names(cluster)) == (2, ["nvidia"]), said
    assert "pods with GPUs are on the node gpu-1: default/nlp." in " ".join(said.split())
    assert "of other, which is the default there, was left as it is: the cluster has no node other, so" in " ".join(
        said.split()
    )


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("kubegpu_runtime_name=gpu", "use the RuntimeClass nvidia: default/named. Where"),
        ("kubegpu_runtime_default=false", "pods with GPUs are on the node gpu-1: default/plain."),
    ],
    ids=["name", "default"],
)
def test_change_that_takes_the_runtime_from_pods_is_refused_as_absent_is(
    cluster: SimulatedCluster, tmp_path: Path, option: str, words: str
) -> None:
    client = cluster.client()
    client.create(CLASSES, {"metadata": {"name": "nvidia"}, "handler": "nvidia"})
    if "name=" in option:
        pod(cluster, "named", runtimeClassName="nvidia")
    else:
        pod(cluster, "plain", nodeName="gpu-1", container={"resources": {"limits": {"nvidia.com/gpu": "1"}}})
    code, said = run(cluster, tmp_path, "put_in.yml", "--check", "-e", option, default=True)
    assert code == 2, said
    said = " ".join(said.split())
    assert words in said
    if option.startswith("kubegpu_runtime_default"):
        assert "or leave it the default, with kubegpu_runtime_default: true." in said
    else:
        assert (
            "To rename it everywhere, remove these pods, or have them name no RuntimeClass, and run again. To" in said
        )
        assert "To rename it on this node alone, drain and cordon it, then run with --limit gpu-1 -e" in said
    # What takes nothing from them is not asked about.
    code, said = run(cluster, tmp_path, "put_in.yml", "--check", "-e", "kubegpu_runtime_default=true", default=True)
    assert code == 0, said


def test_hosts_that_name_different_classes_are_each_seen_to(cluster: SimulatedCluster, tmp_path: Path) -> None:
    """One host asks for all."""
    named = "kubegpu_runtime_name=cuda"
    code, said = run(cluster, tmp_path, "runtime_class.yml", "--check", other=named)
    assert (code, names(cluster), "RuntimeClass cuda, nvidia would be made" in said) == (0, [], True), said
    code, said = run(cluster, tmp_path, "runtime_class.yml", other=named)
    assert (code, names(cluster)) == (0, ["cuda", "nvidia"]), said
    pod(cluster, "train", runtimeClassName="cuda")
    code, said = run(cluster, tmp_path, "remove.yml", other=f"{named} was=cuda")
    assert (code, names(cluster)) == (2, ["cuda", "nvidia"]), said
    words = "The runtime cuda of other was left as it is, because pods of this cluster, on whatever node, use the RuntimeClass"
    assert f"{words} cuda: default/train." in said
    # Where nothing is there to be removed, and the class stays, nothing is taken from the pod.
    code, said = run(
        cluster, tmp_path, "remove.yml", "-e", '{"changes": false}', "--limit", "other", other=f"{named} was=cuda"
    )
    assert (code, names(cluster)) == (0, ["cuda", "nvidia"]), said
    code, said = run(cluster, tmp_path, "runtime_class.yml", other=f"{named} kubegpu_runtime_class_name=nvidia")
    assert code == 2, said
    assert "would have to stand for two handlers: for nvidia, which gpu-1 has, and for cuda, which other has." in said


@pytest.mark.parametrize("state", ["put_in.yml", "take_out.yml"])
def test_nothing_is_changed_where_the_cluster_cannot_be_asked(
    cluster: SimulatedCluster, tmp_path: Path, state: str
) -> None:
    options = ["-e", f"kubegpu_kubeconfig={tmp_path}/none", "-e", f"kubegpu_runtime_root={tmp_path}"]
    wanted = "absent" if state == "take_out.yml" else "present"
    code, said = run(cluster, tmp_path, state, *options, state=wanted)
    said = " ".join(said.split())
    assert code == 2, said
    # Those of an earlier batch may have been.
    assert "No container runtime of this batch was changed, because the cluster could not be asked" in said
    assert "kubegpu_kubeconfig" in said
    assert "kubegpu_runtime_class to false" in said
    assert "Ask for the runtime" not in said
    assert "Change it" not in said
