# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed decoding: what goes, what is converted, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.apiserver.codec import DecodeProblem, Decoder
from simulator.apiserver.quantity import canonical, is_integer
from simulator.apiserver.schema import SCHEMA


def decode(struct: str, value: dict[str, Any]) -> dict[str, Any]:
    return Decoder().decode(SCHEMA.structs[struct], value)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("64000m", "64"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5", "500m"),
        ("1e3", "1e3"),
        ("100k", "100k"),
        ("1000", "1k"),
        ("1536", "1536"),
        ("0", "0"),
        ("-1", "-1"),
        ("0Gi", "0"),
    ],
)
def test_quantities_become_canonical(text: str, result: str) -> None:
    assert canonical(text) == result


@pytest.mark.parametrize("text", ["two", "1.2.3", "", "1 Gi", "Gi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        canonical(text)


def test_fractions_are_no_whole_devices() -> None:
    assert is_integer("2")
    assert is_integer("2000m")
    assert not is_integer("1500m")


def test_unknown_fields_nulls_and_empty_maps_go() -> None:
    decoder = Decoder()
    value = {"metadata": {"name": "a", "labels": {}, "junk": 1}, "data": None, "other": [1]}
    assert decoder.decode(SCHEMA.structs["V1ConfigMap"], value) == {"metadata": {"name": "a"}}
    assert decoder.unknown == ["metadata.junk", "other"]


def test_zero_values_are_written_as_go_writes_them() -> None:
    assert decode("V1PodCondition", {"type": "Ready"})["lastProbeTime"] is None
    status = decode("V1DaemonSetStatus", {"numberReady": 0, "numberAvailable": 0})
    assert status["numberReady"] == 0
    assert "numberAvailable" not in status
    assert "unschedulable" not in decode("V1NodeSpec", {"unschedulable": False})
    assert decode("V1ConfigMap", {"immutable": False}) == {"immutable": False}


@pytest.mark.parametrize(
    ("struct", "value", "text"),
    [
        (
            "V1ConfigMap",
            {"data": {"a": 1}},
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        (
            "V1Node",
            {"metadata": {"annotations": {"a": 1}}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.annotations of type string",
        ),
        (
            "V1Node",
            {"spec": {"taints": {}}},
            "json: cannot unmarshal object into Go struct field NodeSpec.spec.taints of type []v1.Taint",
        ),
        ("V1Secret", {"data": {"a": "***"}}, "illegal base64 data at input byte 0"),
        ("V1DaemonSetSpec", {"minReadySeconds": True}, "of type int32"),
    ],
)
def test_wrong_types_are_named_as_go_does(struct: str, value: dict[str, Any], text: str) -> None:
    with pytest.raises(DecodeProblem) as problem:
        decode(struct, value)
    assert text in str(problem.value)


def test_times_are_converted_and_micro_times_need_six_digits() -> None:
    assert decode("V1ObjectMeta", {"creationTimestamp": "2026-01-01T02:00:00.5+02:00"}) == {
        "creationTimestamp": "2026-01-01T00:00:00Z"
    }
    lease = decode("V1LeaseSpec", {"renewTime": "2026-01-01T02:00:00.123456+02:00"})
    assert lease == {"renewTime": "2026-01-01T00:00:00.123456Z"}
    for text in ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123Z", "yesterday"):
        with pytest.raises(DecodeProblem, match=f'parsing time "{text}"'):
            decode("V1LeaseSpec", {"renewTime": text})
