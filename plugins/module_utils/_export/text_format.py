# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' text format, version 0.0.4. Pure. PRIVATE to the collection.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Sequence


@dataclass(frozen=True)
class Sample:
    """A number of a metric, with the labels that tell it from the others."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """:param help: one sentence. It has to be the same wherever the metric is written, or node_exporter drops it."""

    name: str
    help: str
    samples: Sequence[Sample] = ()


def render(metrics: Sequence[Metric]) -> str:
    """The text; a metric without a sample is left out. All are gauges. Without times: node_exporter refuses a file that has them."""
    lines: List[str] = []
    for metric in metrics:
        if metric.samples:
            lines += [f"# HELP {metric.name} {_escape_help(metric.help)}", f"# TYPE {metric.name} gauge"]
            lines += [f"{metric.name}{_labels(sample.labels)} {_number(sample.value)}" for sample in metric.samples]
    return "".join(f"{line}\n" for line in lines)


def sum_up(samples: Sequence[Sample]) -> List[Sample]:
    """Samples in order, those with the same labels as one: a series that is there twice makes the whole file void."""
    sums: Dict[tuple[tuple[str, str], ...], float] = {}
    for sample in samples:
        key = tuple(sample.labels.items())
        sums[key] = sums.get(key, 0) + sample.value
    return [Sample(value, dict(key)) for key, value in sorted(sums.items())]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape_value(value)}"' for name, value in labels.items()) + "}"


def _escape_value(text: str) -> str:
    return _escape_help(text).replace('"', '\\"')


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
