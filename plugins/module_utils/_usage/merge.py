# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One measurement of several of the same host. Pure. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.histogram import Figures
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.user import OTHERS


@dataclass(frozen=True)
class _Part:
    """A measurement, and a card or a user in it.

    :param shift: seconds from the beginning of the whole to the beginning of this measurement.
    """

    measurement: Mapping[str, Any]
    shift: float
    entry: Mapping[str, Any]


def merge_measurements(measurements: Iterable[Mapping[str, Any]]) -> Dict[str, Any]:
    """All that was measured on one host, as one measurement.

    Of two with the same id, such as a copy that was fetched too early, the longer one counts alone.

    :param measurements: measurements that were read by ``read_measurement``, at least one.
    :returns: a measurement, with ``ids`` and ``parts`` (of how many it is made) besides; every ``over_time`` is a list of mappings
        with ``started`` and ``points``, one for each part, so that gaps stay gaps. Where parts differ the latest counts.
    """
    parts = _distinct(measurements)
    first, last = parts[0], parts[-1]
    cards: Dict[str, List[_Part]] = {}
    users: Dict[Tuple[Any, ...], List[_Part]] = {}
    for part in parts:
        shift = _seconds_between(first["started"], part["started"])
        for card in part["gpus"]:
            cards.setdefault(card["uuid"], []).append(_Part(part, shift, card))
        for user in part["users"]:
            users.setdefault(_key(user), []).append(_Part(part, shift, user))
    return {
        **last,
        "ids": [part["id"] for part in parts],
        "parts": len(parts),
        "started": first["started"],
        "ended": max((part["ended"] for part in parts), key=_moment),
        "duration_seconds": round(sum(part["duration_seconds"] for part in parts), 3),
        "interval_seconds": max(part["interval_seconds"] for part in parts),
        "samples": sum(part["samples"] for part in parts),
        "missed": sum(part["missed"] for part in parts),
        "complete": all(part["complete"] for part in parts),
        "nvml_available": any(part["nvml_available"] for part in parts),
        "gpus": [_merge_card(found) for found in cards.values()],
        "users": [_merge_user(found) for found in users.values()],
        "notes": list(dict.fromkeys(note for part in parts for note in part["notes"])),
    }


def _distinct(measurements: Iterable[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    """One of each id, the earliest first."""
    longest: Dict[str, Mapping[str, Any]] = {}
    for measurement in measurements:
        known = longest.get(measurement["id"])
        if known is None or _length(known) < _length(measurement):
            longest[measurement["id"]] = measurement
    return sorted(longest.values(), key=lambda part: (_moment(part["started"]), part["id"]))


def _length(measurement: Mapping[str, Any]) -> Tuple[int, float, bool]:
    return measurement["samples"], measurement["duration_seconds"], measurement["complete"]


def _seconds_between(earlier: str, later: str) -> float:
    return (_moment(later) - _moment(earlier)).total_seconds()


def _moment(text: str) -> datetime:
    # nothing that is no time comes this far
    return parse_time(text) or datetime.fromtimestamp(0, timezone.utc)


def _key(user: Mapping[str, Any]) -> Tuple[Any, ...]:
    """A user that is the same in several measurements; a container that was started anew is another one."""
    device = (user["gpu"], user["mig_device"])
    if user["folded"]:
        return (*device, OTHERS, None)
    for name in ("container_id", "pod_uid"):
        if user[name]:
            return (*device, name, user[name])
    return (*device, "strange" if user.get("runtime_unknown") else "command", user["command"])


def _merge_card(parts: Sequence[_Part]) -> Dict[str, Any]:
    free = [part.entry["memory_free_mib"]["min"] for part in parts if part.entry["memory_free_mib"]]
    return {
        **parts[-1].entry,
        **_figures(parts, "memory_used_mib", "histogram"),
        **_figures(parts, "utilization_percent", "utilization_histogram"),
        "memory_free_mib": {"min": min(free)} if free else None,
        "samples": _sum(parts, "samples"),
        "unanswered": _sum(parts, "unanswered"),
        "mig_devices": list(
            {device["uuid"]: device for part in parts for device in part.entry["mig_devices"]}.values()
        ),
        "over_time": _over_time(parts),
    }


def _merge_user(parts: Sequence[_Part]) -> Dict[str, Any]:
    samples = _sum(parts, "samples")
    processes = [part.entry["processes"] for part in parts]
    seen = sum(part.entry["processes"]["mean"] * part.entry["samples"] for part in parts)
    largest = max(parts, key=lambda part: (part.entry["process_memory_mib"] or {}).get("peak", -1)).entry
    trend = max((part.entry for part in parts), key=_trust)
    return {
        **parts[-1].entry,
        **{name: _latest(parts, name) for name in ("pod_uid", "namespace", "pod", "container", "slots")},
        "command": largest["command"],
        "pid": largest["pid"],
        "types": sorted({kind for part in parts for kind in part.entry["types"]}),
        **_figures(parts, "memory_mib", "histogram"),
        **_figures(parts, "process_memory_mib", "process_histogram"),
        "processes": {
            "peak": max(one["peak"] for one in processes),
            "mean": round(seen / samples, 1) if samples else 0.0,
        },
        "samples": samples,
        "untold": _sum(parts, "untold"),
        "first_seen": round(min(part.shift + part.entry["first_seen"] for part in parts), 3),
        "last_seen": round(max(part.shift + part.entry["last_seen"] for part in parts), 3),
        "restarted": _sum(parts, "restarted"),
        "folded": _sum(parts, "folded"),
        "trend_mib_per_hour": trend["trend_mib_per_hour"],
        "trend_span_seconds": trend["trend_span_seconds"],
        "over_time": _over_time(parts),
    }


def _figures(parts: Sequence[_Part], name: str, histogram: str) -> Dict[str, Any]:
    merged = Figures()
    for part in parts:
        merged.include(Figures.of(part.entry[name], part.entry[histogram]))
    return {name: merged.to_dict(), histogram: merged.histogram()}


def _over_time(parts: Sequence[_Part]) -> List[Dict[str, Any]]:
    return [{"started": part.measurement["started"], "points": part.entry["over_time"]} for part in parts]


def _trust(user: Mapping[str, Any]) -> Tuple[bool, float]:
    """The trend that was seen over the longest time says most."""
    return user["trend_mib_per_hour"] is not None, user["trend_span_seconds"]


def _latest(parts: Sequence[_Part], name: str) -> Optional[Any]:
    return next((part.entry[name] for part in reversed(parts) if part.entry[name] is not None), None)


def _sum(parts: Sequence[_Part], name: str) -> int:
    return sum(part.entry[name] for part in parts)
