# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frameworks that take GPU memory by design and not by need, recognised in a pod's containers. PRIVATE to the collection.

What such a framework was measured to use is what it was told to take. Environments and arguments are read and never kept, but for
the values of the words below: they may hold secrets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, Sequence, Tuple

#: All memory of the card, a part of it, or what is asked for and never given back.
GRABS_ALL, GRABS_FRACTION, GROWS = "grabs_all", "grabs_fraction", "grows"
_NUMBER = re.compile(r"[0-9.]{1,12}(?:[kKMGT]i?B?)?")
_UNREADABLE = "a value that is not told here"


@dataclass(frozen=True)
class Container:
    """What a container is started with. Never kept.

    :param words: command and arguments, one by one; of a shell's one line, its words.
    """

    image: str
    words: Tuple[str, ...]
    env: Mapping[str, str | None]

    def argument(self, *names: str) -> tuple[str, str] | None:
        """(name, value) of an option, given as --name=value or as --name value."""
        for number, word in enumerate(self.words):
            name, equals, value = word.partition("=")
            # vLLM and others take either of - and _ within an option.
            if name.replace("_", "-") in [one.replace("_", "-") for one in names]:
                following = self.words[number + 1] if number + 1 < len(self.words) else ""
                return name, value if equals else following
        return None

    def runs(self, *parts: str) -> bool:
        """Whether one of these stands in its image, or begins the name of a program or module that it runs."""
        if any(part in self.image for part in parts):
            return True
        # Not anywhere in a word: a directory of models may be called as it likes.
        programs = [word.rsplit("/", 1)[-1] for word in self.words if not word.startswith("-")]
        return any(program.startswith(parts) for program in programs)


@dataclass(frozen=True)
class Finding:
    """What is to be known of a framework in a pod."""

    framework: str
    effect: str
    evidence: str
    advice: str


@dataclass(frozen=True)
class _Framework:
    """:param marks: in the name of an image, or with which the name of a program begins.
    :param judge: what its settings make of memory; None if they tell that there is nothing to say.
    :param images: in the name of an image alone, for what is no program.
    :param env_marks: variables that only it reads.
    """

    name: str
    marks: Tuple[str, ...]
    judge: Callable[[Container], Finding | None]
    images: Tuple[str, ...] = ()
    env_marks: Tuple[str, ...] = ()

    def is_in(self, container: Container) -> bool:
        """Whether a container has it."""
        return (
            container.runs(*self.marks)
            or any(part in container.image for part in self.images)
            or any(name in container.env for name in self.env_marks)
        )


def find_frameworks(spec: Mapping[str, Any]) -> list[dict[str, str]]:
    """What a pod's containers tell, each framework once; empty if nothing is recognised.

    :param spec: of the pod.
    """
    found: dict[str, Finding] = {}
    for container in map(_read, [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]):
        for framework in _TABLE:
            finding = framework.judge(container) if framework.is_in(container) else None
            if finding:
                found.setdefault(framework.name, finding)
    return [
        {"framework": one.framework, "effect": one.effect, "evidence": one.evidence, "advice": one.advice}
        for one in found.values()
    ]


def _read(container: Mapping[str, Any]) -> Container:
    words: list[str] = []
    for word in [*(container.get("command") or ()), *(container.get("args") or ())]:
        words += str(word).split()
    env = {str(one.get("name")): one.get("value") for one in container.get("env") or ()}
    return Container(str(container.get("image") or "").lower(), tuple(words), env)


def _shown(value: str | None) -> str:
    """A number as it stands there; anything else is not repeated."""
    text = (value or "").strip("'\"")
    return text if _NUMBER.fullmatch(text) else _UNREADABLE


def _by_argument(
    name: str, effect: str, options: Sequence[str], unset: str, advice: str
) -> Callable[[Container], Finding | None]:
    """A framework that one option tells how much to take; an environment variable may stand for it.

    :param options: as arguments, and last, written in capitals, as variables.
    :param unset: what holds if none is given.
    """

    def judge(container: Container) -> Finding | None:
        given = container.argument(*[option for option in options if option.startswith("-")])
        if given:
            return Finding(name, effect, f"argument {given[0]}={_shown(given[1])}", advice)
        for variable in options:
            if variable in container.env:
                return Finding(name, effect, f"env {variable}={_shown(container.env[variable])}", advice)
        return Finding(name, effect, unset, advice) if unset else None

    return judge


def _tensorflow(container: Container) -> Finding | None:
    # "By default, TensorFlow maps nearly all of the GPU memory of all GPUs": https://www.tensorflow.org/guide/gpu ("Limiting GPU
    # memory growth"). The flag of TensorFlow Serving: tensorflow_serving/model_servers/main.cc.
    given = container.argument("--per_process_gpu_memory_fraction")
    if given and _shown(given[1]).strip("0.") not in ("", _UNREADABLE):
        return Finding(
            "TensorFlow",
            GRABS_FRACTION,
            f"argument {given[0]}={_shown(given[1])}",
            "Lower --per_process_gpu_memory_fraction to what the model needs.",
        )
    growth = container.env.get("TF_FORCE_GPU_ALLOW_GROWTH")
    if (growth or "").lower() in ("true", "1"):
        return Finding(
            "TensorFlow",
            GROWS,
            "env TF_FORCE_GPU_ALLOW_GROWTH=true",
            "Measure over a full load: it gives nothing back.",
        )
    evidence = "env TF_FORCE_GPU_ALLOW_GROWTH is " + (
        "not true" if "TF_FORCE_GPU_ALLOW_GROWTH" in container.env else "not set"
    )
    return Finding("TensorFlow", GRABS_ALL, evidence, "Set TF_FORCE_GPU_ALLOW_GROWTH=true and measure again.")


def _jax(container: Container) -> Finding | None:
    # https://docs.jax.dev/en/latest/gpu_memory_allocation.html: 75 % unless told otherwise. XLA_CLIENT_MEM_FRACTION is the new name
    # of XLA_PYTHON_CLIENT_MEM_FRACTION.
    env = container.env
    if (env.get("XLA_PYTHON_CLIENT_ALLOCATOR") or "").lower() == "platform":
        return None
    if (env.get("XLA_PYTHON_CLIENT_PREALLOCATE") or "").lower() in ("false", "0"):
        return Finding(
            "JAX", GROWS, "env XLA_PYTHON_CLIENT_PREALLOCATE=false", "Measure over a full load: it gives nothing back."
        )
    advice = "Set XLA_PYTHON_CLIENT_PREALLOCATE=false, or XLA_PYTHON_CLIENT_MEM_FRACTION to what it needs, and measure again."
    for name in ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"):
        if name in env:
            return Finding("JAX", GRABS_FRACTION, f"env {name}={_shown(env[name])}", advice)
    return Finding(
        "JAX",
        GRABS_FRACTION,
        "env XLA_PYTHON_CLIENT_PREALLOCATE is not set: 75 % of the card is taken at the first operation",
        advice,
    )


def _paddle(container: Container) -> Finding | None:
    # https://www.paddlepaddle.org.cn/documentation/docs/en/guides/flags/memory_en.html: the packages' default is auto_growth, which
    # takes memory as it is needed; naive_best_fit takes almost all of it.
    if container.env.get("FLAGS_allocator_strategy") == "naive_best_fit":
        return Finding(
            "PaddlePaddle",
            GRABS_ALL,
            "env FLAGS_allocator_strategy=naive_best_fit",
            "Set FLAGS_allocator_strategy=auto_growth and measure again.",
        )
    return None


def _triton(container: Container) -> Finding | None:
    # The TensorRT-LLM backend takes 90 % of what is free for its cache, unless kv_cache_free_gpu_mem_fraction in the model's
    # config.pbtxt, which no pod spec shows, says otherwise: https://nvidia.github.io/TensorRT-LLM/reference/memory.html. With other
    # backends Triton takes what its models need.
    if not container.runs("trtllm", "tensorrtllm", "tensorrt_llm"):
        return None
    return Finding(
        "Triton with TensorRT-LLM",
        GRABS_FRACTION,
        "an image with the TensorRT-LLM backend, which takes 0.9 of the free memory unless the model's configuration says otherwise",
        "Set kv_cache_free_gpu_mem_fraction (or max_tokens_in_paged_kv_cache) in the model's config.pbtxt, and measure again.",
    )


_TABLE = (
    # https://docs.vllm.ai/en/stable/api/vllm/config/cache/: the part of the card for weights, activations and cache. 0.9 for years,
    # 0.92 in newer versions.
    _Framework(
        "vLLM",
        ("vllm",),
        _by_argument(
            "vLLM",
            GRABS_FRACTION,
            ("--gpu-memory-utilization",),
            "argument --gpu-memory-utilization is not given: 0.9 of the card is taken, or 0.92 by newer versions",
            "Lower --gpu-memory-utilization to what the model and its cache need, and measure again.",
        ),
    ),
    # sgl-project/sglang, python/sglang/srt/server_args.py: weights and the cache pool; without it, the server chooses by the card's
    # memory.
    _Framework(
        "SGLang",
        ("sglang",),
        _by_argument(
            "SGLang",
            GRABS_FRACTION,
            ("--mem-fraction-static", "--mem-frac"),
            "argument --mem-fraction-static is not given: the server takes most of the card",
            "Set --mem-fraction-static to what the model and its cache need, and measure again.",
        ),
    ),
    # huggingface/text-generation-inference, docs/source/reference/launcher.md: 1.0 of the visible memory unless told otherwise.
    _Framework(
        "Text Generation Inference",
        ("text-generation-inference", "text-generation-launcher"),
        _by_argument(
            "Text Generation Inference",
            GRABS_FRACTION,
            ("--cuda-memory-fraction", "CUDA_MEMORY_FRACTION"),
            "argument --cuda-memory-fraction is not given: all memory of the card is used",
            "Set --cuda-memory-fraction to what the model and its cache need, and measure again.",
        ),
    ),
    # InternLM/lmdeploy, lmdeploy/cli/utils.py and lmdeploy/messages.py: 0.8 of the memory that is free once the weights are there.
    _Framework(
        "LMDeploy",
        ("lmdeploy",),
        _by_argument(
            "LMDeploy",
            GRABS_FRACTION,
            ("--cache-max-entry-count",),
            "argument --cache-max-entry-count is not given: 0.8 of the free memory is taken for the cache",
            "Lower --cache-max-entry-count, and measure again.",
        ),
    ),
    # https://nvidia.github.io/TensorRT-LLM/examples/kvcacheconfig.html: 0.9 of the free memory for the cache.
    _Framework(
        "TensorRT-LLM",
        ("trtllm-serve",),
        _by_argument(
            "TensorRT-LLM",
            GRABS_FRACTION,
            ("--kv_cache_free_gpu_memory_fraction", "--free_gpu_memory_fraction"),
            "argument --kv_cache_free_gpu_memory_fraction is not given: 0.9 of the free memory is taken for the cache",
            "Lower --kv_cache_free_gpu_memory_fraction, and measure again.",
        ),
    ),
    _Framework("Triton with TensorRT-LLM", ("tritonserver",), _triton),
    # https://docs.rapids.ai/api/dask-cuda/stable/api/: a pool of the given size is made at the start, and none without the option.
    _Framework(
        "RAPIDS",
        ("dask-cuda", "dask_cuda", "dask cuda", "rapidsai"),
        _by_argument(
            "RAPIDS",
            GRABS_FRACTION,
            ("--rmm-pool-size",),
            "",
            "Set --rmm-pool-size to what the work needs, or leave it out, and measure again.",
        ),
    ),
    _Framework("TensorFlow", (), _tensorflow, ("tensorflow",), ("TF_FORCE_GPU_ALLOW_GROWTH",)),
    _Framework(
        "JAX",
        (),
        _jax,
        ("/jax", "jax:", "jax-toolbox"),
        ("XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_CLIENT_MEM_FRACTION"),
    ),
    _Framework("PaddlePaddle", (), _paddle, env_marks=("FLAGS_allocator_strategy",)),
)


def known_frameworks() -> Iterator[str]:
    """Names of all that are known."""
    yield from dict.fromkeys(framework.name for framework in _TABLE)
