# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements that may not be believed."""

from __future__ import annotations

import contextlib
import copy
from typing import Any, Dict, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._usage.samples import measure, process

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.document import read_measurement

GOOD = measure(
    [process(1, 4018), process(2, None, container_id=None)],
    [process(1, 4621)],
    gpus=[
        {"uuid": "GPU-0", "index": 0, "mig_devices": [{"uuid": "MIG-1", "profile": "1g.12gb", "memory_total_mib": 1}]}
    ],
)


def problems(document: Any) -> List[str]:
    with pytest.raises(InputError) as caught:
        read_measurement("m", document)
    return caught.value.problems


def changed(path: List[Any], value: Any) -> Dict[str, Any]:
    document = copy.deepcopy(GOOD)
    at: Any = document
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    return document


def test_good_measurement_is_read_with_words_that_a_newer_release_wrote() -> None:
    newer = changed(["users", 0, "since_boot"], 1)
    assert read_measurement("m", newer) == newer


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["schema_version"], 2, "m.schema_version is 2; only 1 can be read."),
        (["kind"], "plan", "m.kind is 'plan'; only 'measurement' can be read."),
        (["id"], "../x", "m.id is '../x'; give letters, digits, '.', '_' and '-'."),
        (["started"], "yesterday", "m.started is 'yesterday'; give a time such as 2026-03-01T12:00:00Z."),
        (["samples"], -1, "m.samples is -1; give a whole number, 0 or more."),
        (["samples"], True, "m.samples is True; give a whole number, 0 or more."),
        (["duration_seconds"], float("nan"), "m.duration_seconds is nan; give a number, 0 or more."),
        (["users"], {}, "m.users is a mapping; give a list."),
        (["gpus", 0, "over_time"], [[0]], "m.gpus[0].over_time is a list; give a list of pairs of seconds and MiB."),
        (["gpus", 0, "memory_free_mib"], 5, "m.gpus[0].memory_free_mib is a number; give a mapping."),
        (["gpus", 0, "mig_devices", 0, "uuid"], "", "m.gpus[0].mig_devices[0].uuid is ''; give text."),
        (["users", 0, "gpu"], "GPU-9", "m.users[0].gpu is GPU-9, of which gpus says nothing; measure again."),
        (
            ["users", 0, "memory_mib", "peak"],
            "4621",
            "m.users[0].memory_mib.peak is '4621'; give a whole number, 0 or more.",
        ),
        (["users", 0, "memory_mib", "p95"], 4622, "m.users[0].memory_mib.p95 is above its peak, 4621; measure again."),
        (
            ["users", 0, "process_memory_mib", "samples"],
            3,
            "m.users[0].process_memory_mib.samples is 3 and process_histogram counts 2; measure again.",
        ),
        (
            ["users", 0, "memory_mib"],
            None,
            "m.users[0].memory_mib.samples is 0 and histogram counts 2; measure again.",
        ),
        (["users", 0, "trend_mib_per_hour"], "up", "m.users[0].trend_mib_per_hour is 'up'; give a number, or null."),
    ],
)
def test_what_is_wrong_is_said(path: List[Any], value: Any, said: str) -> None:
    assert problems(changed(path, value)) == [said]


def test_every_problem_is_said_at_once() -> None:
    document = changed(["users", 1, "slots"], "two")
    del document["started"], document["users"][0]["memory_mib"], document["gpus"][0]["samples"]
    document["gpus"].append(copy.deepcopy(document["gpus"][0]))
    found = "\n".join(problems(document))
    for part in (
        "m.started is missing",
        "memory_mib",
        "m.gpus[0].samples is missing",
        "drop one of them",
        "slots is 'two'",
    ):
        assert part in found


@pytest.mark.parametrize("document", [None, [], "text", 1, {}, {"schema_version": 1}])
def test_what_is_no_measurement_at_all_is_refused(document: Any) -> None:
    assert problems(document)


def paths(value: Any) -> List[List[Any]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [[name, *rest] for name, part in inside for rest in [[], *paths(part)]]


@settings(max_examples=300)
@given(
    st.sampled_from(paths(GOOD)),
    st.sampled_from([None, -1, 0, 1.5, "x", "", [], {}, [None], [[1]], {"peak": None}, float("inf"), True]),
)
def test_document_is_read_or_refused_whatever_was_done_to_it(path: List[Any], value: Any) -> None:
    document = changed(path, value)
    with contextlib.suppress(InputError):
        assert read_measurement("m", document) == document
