# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import FactReader
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.matching import Match, Matcher
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.query import Query
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.vocabulary import read_vocabulary


def match(configs: dict[str, Any], gpus: list[Any], default: str = "") -> Match:
    vocabulary, problems = read_vocabulary(configs, default, None, (0, 20, 0))
    assert problems == []
    return Matcher(vocabulary).match(FactReader("auto").read(fleet.node(), fleet.host_facts(gpus)))


def by(**condition: str) -> dict[str, Any]:
    return {"match": condition, "sharing": "time_slicing", "replicas": 2}


@pytest.mark.parametrize("product", ["Tesla T4", "tesla-t4", "Tesla-T4-SHARED"])
def test_match_product_is_compared_normalised(product: str) -> None:
    assert match({"t4": by(product=product)}, [fleet.gpu("Tesla T4")]) == Match("t4")


@pytest.mark.parametrize(
    "query",
    [
        "memory_total_mib > `15000`",
        "contains(product, 'T4')",
        "starts_with(product, 'Tesla') && !mig.capable",
        "!mig.capable && !mig.devices[0]",
        "!(mig.capable) && !contains(product, 'A30')",
        "mig.max_devices == `0`",
        "compute_capability == '7.5' || architecture == 'Ampere'",
        "length(mig.profiles) == `0`",
    ],
)
def test_match_query_is_asked_on_the_facts(query: str) -> None:
    assert match({"some": by(query=query)}, [fleet.gpu("Tesla T4")]) == Match("some")


def test_match_nothing_leaves_the_node_alone() -> None:
    assert match({"l20": by(product="NVIDIA L20")}, [fleet.gpu("Tesla T4")]) == Match()


def test_match_default_takes_what_nothing_else_matches() -> None:
    configs = {"l20": by(product="NVIDIA L20"), "rest": {}}
    assert match(configs, [fleet.gpu("Tesla T4")], "rest") == Match("rest")
    assert match(configs, [fleet.gpu("NVIDIA L20")], "rest") == Match("l20")


def test_match_two_configs_for_one_gpu_names_both() -> None:
    found = match({"t4": by(product="Tesla T4"), "big": by(query="memory_total_mib > `1`")}, [fleet.gpu("Tesla T4")])
    assert found.key is None
    assert found.problems == (
        "GPUs of model Tesla T4 match 2 configs (big, t4). Make the matches of kubegpu_sharing_configs exclude each other.",
    )


def test_match_gpus_under_different_configs_are_named() -> None:
    configs = {"t4": by(product="Tesla T4"), "l20": by(product="NVIDIA L20")}
    found = match(configs, [fleet.gpu("Tesla T4"), fleet.gpu("NVIDIA L20", 1), fleet.gpu("Tesla T4", 2)])
    assert "GPU 1 (NVIDIA L20) under l20; GPU 0, 2 (Tesla T4) under t4" in found.problems[0]


def test_match_gpus_under_a_config_and_under_none_are_named() -> None:
    found = match({"t4": by(product="Tesla T4")}, [fleet.gpu("Tesla T4"), fleet.gpu("NVIDIA A30", 1)])
    assert "GPU 0 (Tesla T4) under t4; GPU 1 (NVIDIA A30) under none" in found.problems[0]
    assert "kubegpu_default_config" in found.problems[0]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("product", "yields 'Tesla T4', neither true nor false, for a GPU of model Tesla T4."),
        ("memory_used_mib > `5`", "yields None, neither true nor false"),
        ("length(memory_total_mib) > `5`", "fails: "),
    ],
)
def test_match_query_without_a_yes_or_no_is_a_problem(query: str, problem: str) -> None:
    found = match({"t4": by(query=query)}, [fleet.gpu("Tesla T4")])
    assert found.key is None
    assert f"kubegpu_sharing_configs.t4.match.query {query!r} " in found.problems[0]
    assert problem in found.problems[0]
    assert "The facts to ask for are architecture, compute_capability," in found.problems[0]


def test_query_that_does_not_parse_is_told_in_one_line() -> None:
    with pytest.raises(ValueError, match="Invalid jmespath expression") as raised:
        Query("a ==")
    assert "\n" not in str(raised.value)
