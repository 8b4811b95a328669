# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.frameworks import (
    GRABS_ALL,
    GRABS_FRACTION,
    GROWS,
    find_frameworks,
    known_frameworks,
)


def spec(
    image: str = "app:1", args: list[str] | None = None, env: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    listed = [{"name": name, "value": value} for name, value in (env or {}).items()]
    return {"containers": [{"name": "main", "image": image, "args": args or [], "env": listed, **more}]}


SPECS = [
    ("vLLM", spec("vllm/vllm-openai:v0.8"), GRABS_FRACTION, "--gpu-memory-utilization is not given: 0.9"),
    (
        "vLLM",
        spec(args=["python3", "-m", "vllm.entrypoints.openai.api_server", "--gpu-memory-utilization=0.3"]),
        GRABS_FRACTION,
        "argument --gpu-memory-utilization=0.3",
    ),
    (
        "vLLM",
        spec(command=["sh", "-c"], args=["exec vllm serve m --gpu_memory_utilization 0.45 --port 1"]),
        GRABS_FRACTION,
        "argument --gpu_memory_utilization=0.45",
    ),
    ("SGLang", spec(args=["-m", "sglang.launch_server"]), GRABS_FRACTION, "--mem-fraction-static is not given"),
    (
        "SGLang",
        spec("lmsysorg/sglang", ["--mem-fraction-static", "0.7"]),
        GRABS_FRACTION,
        "--mem-fraction-static=0.7",
    ),
    (
        "Text Generation Inference",
        spec("ghcr.io/huggingface/text-generation-inference:3.0"),
        GRABS_FRACTION,
        "all memory",
    ),
    (
        "Text Generation Inference",
        spec("ghcr.io/huggingface/text-generation-inference:3.0", env={"CUDA_MEMORY_FRACTION": "0.5"}),
        GRABS_FRACTION,
        "env CUDA_MEMORY_FRACTION=0.5",
    ),
    ("LMDeploy", spec("openmmlab/lmdeploy", ["--cache-max-entry-count=0.2"]), GRABS_FRACTION, "=0.2"),
    ("TensorRT-LLM", spec(args=["trtllm-serve", "m"]), GRABS_FRACTION, "0.9 of the free memory"),
    (
        "Triton with TensorRT-LLM",
        spec("nvcr.io/nvidia/tritonserver:25.12-trtllm-python-py3"),
        GRABS_FRACTION,
        "TensorRT-LLM backend",
    ),
    ("RAPIDS", spec(args=["dask-cuda-worker", "--rmm-pool-size=5GB"]), GRABS_FRACTION, "--rmm-pool-size=5GB"),
    ("TensorFlow", spec("tensorflow/tensorflow:2.16-gpu"), GRABS_ALL, "env TF_FORCE_GPU_ALLOW_GROWTH is not set"),
    ("TensorFlow", spec("x", env={"TF_FORCE_GPU_ALLOW_GROWTH": "false"}), GRABS_ALL, "is not true"),
    ("TensorFlow", spec("x", env={"TF_FORCE_GPU_ALLOW_GROWTH": "true"}), GROWS, "=true"),
    (
        "TensorFlow",
        spec("tensorflow/serving:latest-gpu", ["--per_process_gpu_memory_fraction=0.4"]),
        GRABS_FRACTION,
        "=0.4",
    ),
    ("TensorFlow", spec("tensorflow/serving", ["--per_process_gpu_memory_fraction=0.0"]), GRABS_ALL, "not set"),
    ("JAX", spec("ghcr.io/nvidia/jax:maxtext"), GRABS_FRACTION, "75 %"),
    ("JAX", spec("x", env={"XLA_PYTHON_CLIENT_MEM_FRACTION": ".25"}), GRABS_FRACTION, "MEM_FRACTION=.25"),
    ("JAX", spec("x", env={"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}), GROWS, "PREALLOCATE=false"),
    ("PaddlePaddle", spec("x", env={"FLAGS_allocator_strategy": "naive_best_fit"}), GRABS_ALL, "naive_best_fit"),
]


@pytest.mark.parametrize(("name", "given", "effect", "evidence"), SPECS)
def test_framework_is_recognised_with_its_setting(name: str, given: Any, effect: str, evidence: str) -> None:
    (found,) = find_frameworks(given)
    assert (found["framework"], found["effect"]) == (name, effect)
    assert evidence in found["evidence"]
    assert found["advice"]


def test_every_framework_of_the_table_is_tried_here() -> None:
    assert set(known_frameworks()) == {name for name, *rest in SPECS if rest}


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(spec("pytorch/pytorch:2.4"), id="takes what it needs"),
        pytest.param(spec("app:1", ["--model=/data/vllm/m", "/srv/tensorflow"]), id="a directory is called so"),
        pytest.param(spec("nvcr.io/nvidia/tritonserver:25.12-py3"), id="Triton with other backends"),
        pytest.param(spec(args=["dask-cuda-worker"]), id="no pool"),
        pytest.param(spec("x", env={"FLAGS_allocator_strategy": "auto_growth"}), id="Paddle's own default"),
        pytest.param(spec("nvidia/jax", env={"XLA_PYTHON_CLIENT_ALLOCATOR": "platform"}), id="JAX without a pool"),
        pytest.param({}, id="no containers"),
    ],
)
def test_nothing_is_said_of_what_takes_memory_as_it_needs(given: Any) -> None:
    assert find_frameworks(given) == []


def test_only_numbers_are_repeated() -> None:
    given = spec("vllm/vllm-openai", ["--gpu-memory-utilization", "$(SECRET)"], {"XLA_CLIENT_MEM_FRACTION": None})
    told = str(find_frameworks(given))
    assert "SECRET" not in told
    assert told.count("a value that is not told here") == 2


def test_frameworks_of_several_containers_are_told_once_each() -> None:
    given = spec("vllm/vllm-openai")
    given["containers"] *= 2
    given["initContainers"] = [{"name": "prepare", "image": "tensorflow/tensorflow"}]
    assert [one["framework"] for one in find_frameworks(given)] == ["vLLM", "TensorFlow"]
