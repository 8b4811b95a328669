# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input ends a rollout with a sentence that helps, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from simulator.cluster import SimulatedCluster
from simulator.scenario import generate

from .conftest import REFERENCE_HOSTS, REFERENCE_VARIABLES
from .operator import Operator

L20 = {"match": {"product": "NVIDIA L20"}, "sharing": "time_slicing", "process_memory_mib": 4621}
T4 = {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "process_memory_mib": 4401}


def configs(**changed: Any) -> dict[str, Any]:
    """The reference's variables with some configs changed or added."""
    return {"kubegpu_sharing_configs": {"l20": L20, "t4": T4, **changed}}


def refused(operator: Operator, *said: str) -> None:
    """A rollout ends with every one of these words and has sent no write."""
    last = operator.cluster.position()
    ended = operator.play("rollout")
    assert ended.returncode != 0, ended.output
    output = " ".join(ended.output.split())
    for words in said:
        assert words in output, f"{words!r} is not said in:\n{ended.output}"
    assert operator.cluster.writes(last) == []


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        pytest.param(
            configs(l20={**L20, "sharing": "timeslicing"}), ["l20", "timeslicing", "time_slicing"], id="unknown word"
        ),
        pytest.param(
            configs(l20={**L20, "process_memory": 1}), ["l20", "process_memory", "process_memory_mib"], id="unknown key"
        ),
        pytest.param(configs(l20={**L20, "process_memory_mib": 0}), ["l20", "process_memory_mib", "0"], id="no memory"),
        pytest.param(
            configs(l20={**L20, "process_memory_mib": -5}), ["l20", "process_memory_mib", "-5"], id="negative memory"
        ),
        pytest.param(
            configs(l20={**L20, "process_memory_mib": 50000}), ["l20", "50000", "46068"], id="larger than the card"
        ),
        pytest.param(
            configs(l20={"match": L20["match"], "sharing": "time_slicing", "replicas": 1}),
            ["l20", "replicas", "2"],
            id="one replica",
        ),
        pytest.param(configs(l20={**L20, "replicas": 8}), ["l20", "replicas", "process_memory_mib"], id="both sizes"),
        pytest.param(configs(other={**L20}), ["gpu-l20", "l20", "other"], id="two configs for one GPU"),
        pytest.param(
            configs(**{"L 20!": {**L20, "match": {"product": "NVIDIA A30"}}}), ["L 20!", "label"], id="key is no label"
        ),
        pytest.param(
            {**configs(), "kubegpu_default_config": "none-such"}, ["none-such"], id="default that does not exist"
        ),
        pytest.param(
            configs(l20={**L20, "match": {"query": "memory_total_mib >"}}),
            ["l20", "memory_total_mib >"],
            id="query that does not parse",
        ),
        pytest.param(
            configs(l20={**L20, "match": {"query": "product"}}),
            ["l20", "neither true nor false"],
            id="query without an answer",
        ),
        pytest.param(
            configs(l20={**L20, "process_memory_mib": 4000}), ["gpu-l20", "4621"], id="process larger than the slot"
        ),
        pytest.param(
            configs(l20={**L20, "sharing": "nonsense"}, t4={**T4, "process_memory_mib": 0}),
            ["nonsense", "t4"],
            id="all problems at once",
        ),
        pytest.param(
            configs(l20={"match": L20["match"], "mig": {"strategy": "mixed", "devices": {"1g.5gb": 7}}}),
            ["gpu-l20", "l20.mig", "GPU 0 (NVIDIA L20) has no MIG"],
            id="mig",
        ),
    ],
)
def test_rollout_of_bad_variables_is_refused(operator: Operator, variables: dict[str, Any], said: list[str]) -> None:
    operator.write_inventory(REFERENCE_HOSTS, {**REFERENCE_VARIABLES, **variables})
    refused(operator, *said)


@pytest.fixture(scope="module")
def mixed_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedCluster]:
    """One node with an L20 and a T4."""
    data = generate(1, plugin_version="v0.17.1", speed=20)
    data["nodes"][0]["gpus"] = [{"card": "L20", "count": 1}, {"card": "T4", "count": 1}]
    with SimulatedCluster.start(data, tmp_path_factory.mktemp("mixed")) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        pytest.param({"l20": L20, "t4": T4}, ["gpu-1", "NVIDIA L20", "under l20", "Tesla T4", "under t4"], id="two"),
        pytest.param({"l20": L20}, ["gpu-1", "NVIDIA L20", "under l20", "Tesla T4", "under none"], id="one and none"),
    ],
)
def test_rollout_on_a_node_with_gpus_of_several_configs_is_refused(
    mixed_cluster: SimulatedCluster, tmp_path: Path, wanted: dict[str, Any], said: list[str]
) -> None:
    operator = Operator(mixed_cluster, tmp_path)
    operator.write_inventory(["gpu-1"], {"kubegpu_sharing_configs": wanted})
    refused(operator, *said)


def test_misspelt_variable_is_told_at_the_start_and_under_the_plan(operator: Operator) -> None:
    said = "The variable kubegpu_on_overcomit is unknown and has no effect. Did you mean kubegpu_on_overcommit?"
    operator.write_inventory(REFERENCE_HOSTS, {**REFERENCE_VARIABLES, "kubegpu_on_overcomit": "evict"})
    output = operator.must_play("plan").output
    start, plan = output.split("\nPlan ")
    assert said in " ".join(start.split())
    assert said in " ".join(plan.split())
    # What the plays themselves set, and a group, are no variables of an operator.
    operator.write_inventory(REFERENCE_HOSTS, REFERENCE_VARIABLES)
    assert "has no effect" not in operator.must_play("plan", kubegpu_plan_id="0123456789abcdef").output


def test_rollout_of_a_host_that_the_cluster_lacks_is_refused(operator: Operator) -> None:
    operator.write_inventory([*REFERENCE_HOSTS, "gpu-elsewhere"], REFERENCE_VARIABLES)
    refused(operator, "gpu-elsewhere")


def test_rollout_limited_to_other_hosts_is_no_empty_success(operator: Operator) -> None:
    inventory = operator.directory / "inventory.yml"
    content = yaml.safe_load(inventory.read_text(encoding="utf-8"))
    content["others"] = {"hosts": {"web-1": {"ansible_connection": "local"}}}
    inventory.write_text(yaml.safe_dump(content), encoding="utf-8")
    last = operator.cluster.position()
    ended = operator.play("rollout", "--limit", "web-1")
    assert ended.returncode != 0
    assert "No host of the group gpu_nodes is left in this run (--limit web-1)" in " ".join(ended.output.split())
    assert operator.cluster.writes(last) == []


def test_rollout_without_its_kubeconfig_is_refused_by_its_path(operator: Operator, tmp_path: Path) -> None:
    operator.write_inventory(REFERENCE_HOSTS, {**REFERENCE_VARIABLES, "kubegpu_kubeconfig": str(tmp_path / "none")})
    refused(operator, f"The kubeconfig of kubegpu_kubeconfig cannot be used: {tmp_path / 'none'} does not exist.")


def test_rollout_without_an_api_server_is_refused(operator: Operator, tmp_path: Path) -> None:
    kubeconfig = yaml.safe_load(Path(operator.cluster.kubeconfig).read_text(encoding="utf-8"))
    kubeconfig["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    operator.write_inventory(
        REFERENCE_HOSTS, {**REFERENCE_VARIABLES, "kubegpu_kubeconfig": str(tmp_path / "kubeconfig")}
    )
    refused(operator, "https://127.0.0.1:1")


def test_rollout_with_an_unknown_token_is_refused(operator: Operator, tmp_path: Path) -> None:
    kubeconfig = yaml.safe_load(Path(operator.cluster.kubeconfig).read_text(encoding="utf-8"))
    kubeconfig["users"][0]["user"] = {"token": "unknown"}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    operator.write_inventory(
        REFERENCE_HOSTS, {**REFERENCE_VARIABLES, "kubegpu_kubeconfig": str(tmp_path / "kubeconfig")}
    )
    refused(operator, "401")


def test_rollout_without_permission_is_refused_naming_verb_and_resource(
    operator: Operator, reference_cluster: SimulatedCluster, tmp_path: Path
) -> None:
    client = reference_cluster.client()
    client.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "reader"}})
    client.create(
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        {
            "metadata": {"name": "reader"},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}],
        },
    )
    client.create(
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        {
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "reader"}],
        },
    )
    token = client.create(
        "/api/v1/namespaces/default/serviceaccounts/reader/token", {"spec": {"expirationSeconds": 3600}}
    )["status"]["token"]
    kubeconfig = yaml.safe_load(Path(operator.cluster.kubeconfig).read_text(encoding="utf-8"))
    kubeconfig["users"][0]["user"] = {"token": token}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    operator.write_inventory(
        REFERENCE_HOSTS, {**REFERENCE_VARIABLES, "kubegpu_kubeconfig": str(tmp_path / "kubeconfig")}
    )
    refused(operator, "patch", "nodes")
    # The same credentials are enough to see what a rollout would do.
    last = operator.cluster.position()
    shown = operator.must_play("rollout", "--check", "--diff").output
    # What the waves will meet is known before the first write.
    assert "Waves 1 to 2: at most 1 of 2 slots out of service (wave 1); no pod is evicted." in shown
    # It ends with what would be done, and how.
    plan_id, inventory = operator.plan()["plan_id"], operator.directory / "inventory.yml"
    end = shown.split(f"\nCheck of plan {plan_id}: nothing was changed\n")[1]
    assert "· Wave 2, 1 node: gpu-t4; no pod evicted" in end
    assert f"$ ansible-playbook kubegpu.sharing.rollout -i {inventory} -e kubegpu_plan_id={plan_id}\n" in end.replace(
        str(operator.executable), "ansible-playbook"
    )
    assert operator.cluster.writes(last) == []


@pytest.mark.parametrize(
    ("resource", "manifest"),
    [
        pytest.param(
            "/api/v1/namespaces/kubegpu-system/configmaps",
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {}},
            id="ConfigMap",
        ),
        pytest.param(
            "/apis/apps/v1/namespaces/kubegpu-system/daemonsets",
            {
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "spec": {
                    "selector": {"matchLabels": {"app": "theirs"}},
                    "template": {
                        "metadata": {"labels": {"app": "theirs"}},
                        "spec": {"nodeSelector": {"no": "node"}, "containers": [{"name": "main", "image": "theirs:1"}]},
                    },
                },
            },
            id="DaemonSet",
        ),
    ],
)
def test_rollout_over_a_foreign_object_of_its_name_is_refused(
    operator: Operator, resource: str, manifest: dict[str, Any]
) -> None:
    operator.must_play("plan")
    name = next(
        item["metadata"]["name"]
        for item in operator.plan()["configs"]["l20"]["objects"]
        if item["kind"] == manifest["kind"]
    )
    client = operator.cluster.client()
    if "kubegpu-system" not in {item["metadata"]["name"] for item in client.items("/api/v1/namespaces")}:
        client.create("/api/v1/namespaces", {"metadata": {"name": "kubegpu-system"}})
    client.create(resource, {**manifest, "metadata": {"name": name}})
    try:
        refused(operator, name)
    finally:
        client.delete(f"{resource}/{name}")
