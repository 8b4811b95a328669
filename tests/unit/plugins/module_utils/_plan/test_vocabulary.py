# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.vocabulary import read_vocabulary

VERSION = (0, 20, 0)
GOOD = {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "process_memory_mib": 4401}


def problems_of(config: Any, default: Any = None) -> list[str]:
    return read_vocabulary({"t4": config}, default, None, VERSION)[1]


@pytest.mark.parametrize(
    "config",
    [
        GOOD,
        {**GOOD, "process_memory_mib": "4401"},
        {"match": {"query": "memory_total_mib > `40000` && !mig.capable"}, "sharing": "time_slicing", "replicas": "8"},
        {"match": {"product": "Tesla T4"}},
        {"match": {"product": "Tesla T4"}, "sharing": "none"},
        {
            "match": {"product": "Tesla T4"},
            "sharing": "time_slicing",
            "replicas": {"nvidia.com/gpu": 3},
            "rename": True,
        },
        {**GOOD, "fail_requests_greater_than_one": False, "plugin_flags": {"plugin": {"deviceIDStrategy": "index"}}},
        {**GOOD, "mig": {"strategy": "none"}},
    ],
)
def test_read_vocabulary_good_configs_pass(config: dict[str, Any]) -> None:
    assert problems_of(config) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"proces_memory_mib": 1}, "kubegpu_sharing_configs.t4: unknown word 'proces_memory_mib'. Did you mean process_memory_mib?"),
        ({"colour": 1}, "kubegpu_sharing_configs.t4: unknown word 'colour'. Known words: match, sharing,"),
        ({"process_memory_mib": 0}, "kubegpu_sharing_configs.t4.process_memory_mib: 0 is no memory that a process can use"),
        ({"process_memory_mib": -5}, "kubegpu_sharing_configs.t4.process_memory_mib: -5 is no memory"),
        ({"process_memory_mib": "much"}, "kubegpu_sharing_configs.t4.process_memory_mib: 'much' is not a whole number."),
        ({"process_memory_mib": 4401.5}, "kubegpu_sharing_configs.t4.process_memory_mib: 4401.5 is not a whole number."),
        ({"process_memory_mib": None, "replicas": 1}, "kubegpu_sharing_configs.t4.replicas: 1 replicas share nothing"),
        ({"process_memory_mib": None, "replicas": "0"}, "kubegpu_sharing_configs.t4.replicas: '0' replicas share nothing"),
        ({"process_memory_mib": None, "replicas": {"nvidia.com/gpu": 1}}, "t4.replicas.nvidia.com/gpu: 1 replicas share nothing"),
        ({"process_memory_mib": None, "replicas": {"nvidia.com/cpu": 2}}, "no GPU of this config is advertised as 'nvidia.com/cpu'; give nvidia.com/gpu"),
        ({"process_memory_mib": None, "replicas": {"nvidia.com/mig-1g.12gb": 2}}, "MIG devices go by such names with mig: {strategy: mixed, devices: …}."),
        ({"process_memory_mib": None, "replicas": {}}, "kubegpu_sharing_configs.t4.replicas names no resource"),
        ({"replicas": 3}, "kubegpu_sharing_configs.t4 has both replicas and process_memory_mib; keep one"),
        ({"process_memory_mib": None}, "kubegpu_sharing_configs.t4 has sharing: time_slicing, but neither process_memory_mib nor replicas"),
        ({"sharing": "none"}, "kubegpu_sharing_configs.t4 has process_memory_mib, but sharing is none"),
        ({"sharing": "timeslicing"}, "kubegpu_sharing_configs.t4.sharing is 'timeslicing'; give one of none, time_slicing, mps. Did you mean time_slicing?"),
        ({"sharing": "mps"}, "kubegpu_sharing_configs.t4.sharing: mps is not supported yet; use time_slicing or none."),
        ({"sharing": False}, "kubegpu_sharing_configs.t4.sharing is False; give one of"),
        ({"mig": {"stratgy": "mixed"}}, "kubegpu_sharing_configs.t4.mig: unknown word 'stratgy'. Did you mean strategy?"),
        ({"mig": {"strategy": "both"}}, "kubegpu_sharing_configs.t4.mig.strategy is 'both'; give one of none, single, mixed."),
        ({"mig": {"strategy": "mixd", "devices": {"1g.12gb": 7}}}, "strategy is 'mixd'; give one of none, single, mixed. Did you mean mixed?"),
        ({"mig": {}}, "kubegpu_sharing_configs.t4.mig.devices is missing; give counts by profile, such as {1g.12gb: 7}, or strategy: none"),
        ({"mig": {"devices": {}}}, "kubegpu_sharing_configs.t4.mig.devices names no MIG device; give counts by profile"),
        ({"mig": {"devices": {"1g12gb": 7}}}, "kubegpu_sharing_configs.t4.mig.devices.1g12gb: '1g12gb' is no MIG profile; give a name such as 1g.12gb"),
        ({"mig": {"devices": {"1g.12gb": 0}}}, "kubegpu_sharing_configs.t4.mig.devices.1g.12gb is 0; give at least 1"),
        ({"mig": {"devices": [{"gpus": "all", "devices": {}}]}}, "kubegpu_sharing_configs.t4.mig.devices[0].devices names no MIG device"),
        ({"mig": {"devices": [{"devices": {"1g.12gb": 7}}]}}, "t4.mig.devices[0].gpus is nothing (None); give all, or indices, UUIDs"),
        ({"mig": {"devices": [{"gpus": [True], "devices": {"1g.12gb": 7}}]}}, "t4.mig.devices[0].gpus is a list ([True]); give all"),
        ({"mig": {"devices": [{"gpu": 0, "gpus": 0, "devices": {"1g.12gb": 7}}]}}, "t4.mig.devices[0]: unknown word 'gpu'. Did you mean gpus?"),
        ({"mig": {"devices": [{"gpus": 0, "devices": ["1g.12gb"]}, "1g.12gb"]}}, "t4.mig.devices[1] is a string; give a mapping with gpus and devices."),
        ({"mig": {"devices": 7}}, "kubegpu_sharing_configs.t4.mig.devices is a number; give counts by profile"),
        ({"mig": {"strategy": "none", "devices": {"1g.12gb": 7}}}, "mig has devices, but strategy none switches MIG off"),
        ({"mig": {"strategy": "single", "devices": {"1g.12gb": 4, "3g.48gb": 1}}}, "all of a node must be alike, and this names 1g.12gb, 3g.48gb; give one"),
        ({"mig": {"devices": [{"gpus": 0, "devices": {"1c.3g.48gb": 3}}]}}, "t4.mig.devices[0].devices.1c.3g.48gb is a part of a GPU instance"),
        ({"mig": {"devices": {"1g.12gb": 7}}, "sharing": "mps"}, "t4.sharing: mps does not work on GPUs with MIG enabled; use time_slicing or none."),
        (
            {"mig": {"devices": {"1g.12gb": 7}}, "process_memory_mib": {"nvidia.com/mig-1g.10gb": 4401}},
            "'nvidia.com/mig-1g.10gb'; give nvidia.com/mig-1g.12gb, nvidia.com/gpu. Did you mean nvidia.com/mig-1g.12gb?",
        ),
        (
            {"mig": {"strategy": "none"}, "process_memory_mib": {"nvidia.com/mig-1g.12gb": 4401}},
            "no GPU of this config is advertised as 'nvidia.com/mig-1g.12gb'; give nvidia.com/gpu. MIG devices",
        ),
        (
            {"mig": {"devices": {"1g.12gb": 7}}, "plugin_flags": {"migStrategy": "none"}},
            "t4.plugin_flags has migStrategy none, but mig.strategy is mixed; take the flag out.",
        ),
        ({"mig": True}, "kubegpu_sharing_configs.t4.mig is a boolean; give a mapping"),
        ({"match": None}, "kubegpu_sharing_configs.t4 has no match, so no GPU would ever get it"),
        ({"match": "Tesla T4"}, "kubegpu_sharing_configs.t4.match is a string ('Tesla T4'); give {product: …} or {query: …}."),
        ({"match": {"product": "Tesla T4", "query": "`true`"}}, "must have exactly one of product and query, and has product and query."),
        ({"match": {}}, "must have exactly one of product and query, and has neither."),
        ({"match": {"product": 4}}, "kubegpu_sharing_configs.t4.match.product is a number (4); give a string."),
        ({"match": {"query": "memory_total_mib >"}}, "kubegpu_sharing_configs.t4.match.query 'memory_total_mib >' does not parse as JMESPath:"),
        ({"rename": "yes"}, "kubegpu_sharing_configs.t4.rename is 'yes'; give true or false."),
        ({"plugin_flags": {"passDeviceSpecs": True}}, "kubegpu_sharing_configs.t4.plugin_flags: unknown flag 'passDeviceSpecs'"),
    ],
)  # fmt: skip
def test_read_vocabulary_problem_says_where_what_and_the_cure(change: dict[str, Any], problem: str) -> None:
    problems = problems_of({**GOOD, **change})
    assert len(problems) == 1, problems
    assert problem in problems[0]


def test_read_vocabulary_misplaced_product_is_a_problem_of_its_own() -> None:
    problems = problems_of({**GOOD, "match": {"produkt": "Tesla T4"}})
    assert problems == [
        "kubegpu_sharing_configs.t4.match: unknown word 'produkt'. Did you mean product?",
        "kubegpu_sharing_configs.t4.match must have exactly one of product and query, and has produkt.",
    ]


@pytest.mark.parametrize("key", ["has space", "-t4", "t" * 64, "", "tä"])
def test_read_vocabulary_key_that_is_no_label_value_is_refused(key: str) -> None:
    _vocabulary, problems = read_vocabulary({key: GOOD}, None, None, VERSION)
    assert len(problems) == 1
    assert f"kubegpu_sharing_configs: key {key!r} is no valid label value" in problems[0]


def test_read_vocabulary_key_that_is_no_string_is_refused() -> None:
    _vocabulary, problems = read_vocabulary({20: GOOD}, None, None, VERSION)
    assert problems == ["kubegpu_sharing_configs: key 20 is a number, but it becomes a node label; put it in quotes."]


def test_read_vocabulary_default_that_does_not_exist_is_refused() -> None:
    _vocabulary, problems = read_vocabulary({"t4": GOOD}, "t44", None, VERSION)
    assert problems == [
        "kubegpu_default_config is 't44', but kubegpu_sharing_configs has no such config. Did you mean t4? "
        "Leave it empty for no default."
    ]


@pytest.mark.parametrize("default", [None, ""])
def test_read_vocabulary_no_default_is_no_problem(default: Any) -> None:
    vocabulary, problems = read_vocabulary({"t4": GOOD}, default, None, VERSION)
    assert (vocabulary.default_key, problems) == (None, [])


def test_read_vocabulary_default_config_needs_no_match() -> None:
    vocabulary, problems = read_vocabulary({"whole": {}}, "whole", None, VERSION)
    assert (problems, vocabulary.default_key) == ([], "whole")


@pytest.mark.parametrize(
    ("configs", "problem"),
    [
        ({}, "kubegpu_sharing_configs is empty"),
        (None, "kubegpu_sharing_configs is nothing; give a mapping of configs by key"),
        ([GOOD], "kubegpu_sharing_configs is a list; give a mapping of configs by key"),
        ({"t4": "shared"}, "kubegpu_sharing_configs.t4 is a string; give a mapping with match and sharing."),
    ],
)
def test_read_vocabulary_wrong_shape_is_refused(configs: Any, problem: str) -> None:
    problems = read_vocabulary(configs, None, None, VERSION)[1]
    assert len(problems) == 1
    assert problem in problems[0]


@pytest.mark.parametrize(
    ("sizing", "problem"),
    [
        ({"max_memory_utilisation": 0.9}, "kubegpu_sizing: unknown word 'max_memory_utilisation'. Did you mean max_memory_utilization?"),
        ({"max_memory_utilization": 90}, "kubegpu_sizing.max_memory_utilization: 90 is out of range; give a part of the card"),
        ({"max_memory_utilization": "0"}, "kubegpu_sizing.max_memory_utilization: '0' is out of range"),
        ({"max_memory_utilization": "90%"}, "kubegpu_sizing.max_memory_utilization: '90%' is not a number"),
        ({"min_headroom_mib": -1}, "kubegpu_sizing.min_headroom_mib: -1 is negative; give MiB as a whole number"),
        ({"min_headroom_mib": 0.5}, "kubegpu_sizing.min_headroom_mib: 0.5 is not a whole number"),
        (0.9, "kubegpu_sizing is a number; give a mapping"),
    ],
)  # fmt: skip
def test_read_vocabulary_sizing_problem_says_where_what_and_the_cure(sizing: Any, problem: str) -> None:
    problems = read_vocabulary({"t4": GOOD}, None, sizing, VERSION)[1]
    assert len(problems) == 1
    assert problem in problems[0]


def test_read_vocabulary_sizing_from_a_survey_is_strings() -> None:
    sizing = {"max_memory_utilization": "0.85", "min_headroom_mib": "512"}
    vocabulary, problems = read_vocabulary({"t4": GOOD}, None, sizing, VERSION)
    assert problems == []
    assert (vocabulary.margins.max_memory_utilization, vocabulary.margins.min_headroom_mib) == (Decimal("0.85"), 512)


def test_read_vocabulary_tells_all_problems_at_once() -> None:
    configs = {"a b": GOOD, "t4": {**GOOD, "replicas": 1, "colour": 2}, "l20": {**GOOD, "sharing": "mps"}}
    problems = read_vocabulary(configs, "h20", {"min_headroom_mib": -1}, VERSION)[1]
    assert len(problems) == 7
