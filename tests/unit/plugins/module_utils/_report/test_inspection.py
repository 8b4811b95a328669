# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inspection of a cluster."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.inspection import inspect_cluster
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text


def show(story: Any, limit: int = 50) -> str:
    return render_text(inspect_cluster(story.before, story.facts, limit), Screen())


def test_inspect_cluster_shows_gpu_nodes_by_nvml(story: Any) -> None:
    text = show(story)
    assert "8 nodes, 2 with GPUs; 2 GPU slots, 0 free; 1 GPU pod pending" in text
    assert "gpu-l20  1 × NVIDIA L20  Ada Lovelace       46068  8.9  570.158.01  no   nvml" in text
    assert "gpu-t4   1 × Tesla T4    Turing             15360  7.5  570.158.01  no   nvml" in text
    assert "cpu-1" not in text


def test_inspect_cluster_fits_into_120_columns(story: Any) -> None:
    assert max(len(line) for line in show(story).splitlines()) <= 120


def test_inspect_cluster_shows_plugin_with_owner_arguments_and_risks(story: Any) -> None:
    text = show(story)
    for words in (
        "v0.14.5",
        "Helm release nvidia-gpu",
        "2: gpu-l20, gpu-t4",
        "no config file; arguments --mig-strategy=single",
    ):
        assert words in text
    assert (
        "What is risky about kube-system/nvidia-device-plugin-daemonset\n  · failOnInitError is false: a broken" in text
    )


def test_inspect_cluster_shows_since_when_and_why_pods_are_pending(story: Any) -> None:
    assert "default/nlp-2  1         28 days      0/8 nodes are available: 8 Insufficient nvidia.com/gpu." in show(
        story
    )


def test_inspect_cluster_without_facts_takes_labels(story: Any) -> None:
    story.facts = {}
    story.before["nodes"]["gpu-l20"]["labels"] = {
        "nvidia.com/gpu.product": "NVIDIA-L20",
        "nvidia.com/gpu.memory": "46068",
        "nvidia.com/gpu.count": "2",
        "nvidia.com/gpu.family": "ada-lovelace",
        "nvidia.com/gpu.compute.major": "8",
        "nvidia.com/gpu.compute.minor": "9",
        "nvidia.com/cuda.driver-version.full": "570.158.01",
        "nvidia.com/mig.capable": "false",
    }
    text = show(story)
    assert "gpu-l20  2 × NVIDIA-L20  Ada Lovelace       46068  8.9  570.158.01  no   labels" in text
    assert "gpu-t4   unknown" in text
    assert "not known" in text


def test_inspect_cluster_counts_models_of_a_node_and_names_a_lost_gpu(story: Any) -> None:
    gpus = story.facts["gpu-l20"]["gpus"]
    gpus.append({**gpus[0], "index": 1})
    gpus.append({"index": 2, "product": None, "state": "lost", "reason": "Reading GPU 2 failed: GPU is lost."})
    text = show(story)
    assert "2 × NVIDIA L20" in text
    assert "1 × unknown (lost)" in text
    assert "· gpu-l20: Reading GPU 2 failed: GPU is lost." in text


def test_inspect_cluster_says_why_nvml_is_not_available(story: Any) -> None:
    story.facts["gpu-t4"] = {"nvml_available": False, "reason": "Library and kernel module differ.", "gpus": []}
    assert "· gpu-t4: Library and kernel module differ." in show(story)


def test_inspect_cluster_lists_refused_pods_holds_and_maintenance(story: Any) -> None:
    story.before["failed"] = [
        {
            "namespace": "default",
            "name": "nlp-9",
            "uid": "u",
            "node": "gpu-t4",
            "reason": "UnexpectedAdmissionError",
            "message": "no healthy devices",
        }
    ]
    story.before["nodes"]["gpu-l20"].update(hold="until Monday", maintenance={"run": "r0", "reason": "serving failed"})
    story.before["nodes"]["gpu-t4"]["unschedulable"] = True
    text = show(story)
    assert "default/nlp-9  gpu-t4  UnexpectedAdmissionError  no healthy devices" in text
    assert "gpu-l20 is on hold: until Monday." in text
    assert "gpu-l20 is in maintenance of run r0: serving failed." in text
    assert "gpu-t4 is cordoned, by somebody else." in text


def test_inspect_cluster_of_nothing_says_so() -> None:
    text = render_text(inspect_cluster({"nodes": {}}, {}, 50), Screen())
    assert "No device plugin was found" in text
    assert "No node advertises a GPU resource." in text


def test_inspect_cluster_caps_tables(story: Any) -> None:
    assert "… and 1 more, not shown here" in show(story, limit=1)


def test_inspect_cluster_keeps_arguments_and_names_whole_on_a_narrow_screen(story: Any) -> None:
    long = "nvidia-device-plugin-configuration-for-every-node-of-the-cluster"
    story.before["plugins"][0].update(config_source="configmap", config_map=long, config_per_node=True)
    text = render_text(inspect_cluster(story.before, story.facts, 50), Screen.of(80, "utf-8"))
    for word in (*story.before["plugins"][0]["args"], long):
        assert sum(word in line for line in text.splitlines()) == 1
