# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who held the memory of each card while it was measured: at the moment when it was fullest, and over time. PRIVATE to the collection.

Peaks of pods are not added up: they need not have been at the same time. What stands in a bar was there at once, as far as the
measurement's stretches of time tell.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Iterator, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_cards import (
    POD,
    PodName,
    Shares,
    add_up,
    describe_user,
    divide_device,
    resource_of,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count

Measurement = Mapping[str, Any]
#: Cards whose course over time is drawn: those that were fullest.
MAX_COURSES = 12


def cards_of_measurement(
    measurement: Measurement, shares: Shares, pods: Mapping[str, PodName]
) -> dict[str, dict[str, Any]]:
    """The cards of a node by UUID, each with the state when it was fullest as ``state``.

    :param measurement: of one host, as merge_measurements makes it of one or several.
    """
    gpus = [gpu for gpu in measurement["gpus"] if gpu.get("memory_total_mib")]
    counts = Counter(resource_of(device.get("profile"), shares.resources) for gpu in gpus for device in _devices(gpu))
    return {gpu["uuid"]: {**_head(gpu), "state": _state(measurement, gpu, counts, shares, pods)} for gpu in gpus}


def _head(gpu: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "gpu": gpu.get("index"),
        "uuid": gpu["uuid"],
        "product": gpu.get("product"),
        "memory_total_mib": gpu["memory_total_mib"],
    }


def _devices(gpu: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [one for one in gpu.get("mig_devices") or () if one.get("memory_total_mib")]
    return found or [{"uuid": gpu["uuid"], "profile": None, "memory_total_mib": gpu["memory_total_mib"]}]


def _state(
    measurement: Measurement,
    gpu: Mapping[str, Any],
    counts: Mapping[str, int],
    shares: Shares,
    pods: Mapping[str, PodName],
) -> dict[str, Any]:
    moment = _fullest(gpu)
    devices, start = [], 0
    for device in _devices(gpu):
        users = [
            describe_measured(user, pods, _used_at(user, moment))
            for user in _users_of(measurement, gpu, device)
            if _was_there(user, moment)
        ]
        devices.append({**divide_device(device, counts, shares), "start_mib": start, "users": add_up(users)})
        start += int(device["memory_total_mib"])
    return {
        "used_mib": (gpu.get("memory_used_mib") or {}).get("peak"),
        "reserved_mib": gpu.get("memory_reserved_mib"),
        "devices": devices,
    }


def _users_of(
    measurement: Measurement, gpu: Mapping[str, Any], device: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    wanted = device["uuid"] if device.get("profile") else None
    for user in measurement["users"]:
        if user["gpu"] == gpu["uuid"] and (wanted is None or user.get("mig_device") == wanted):
            yield user


def describe_measured(user: Mapping[str, Any], pods: Mapping[str, PodName], mib: Optional[int]) -> dict[str, Any]:
    """A user of a measurement as one of a card."""
    if user.get("folded"):
        name = describe_count(int(user["folded"]), "user") + " that were gone"
        return {"kind": POD, "namespace": None, "name": name, "workload": name, "mib": mib}
    return describe_user(user, pods, mib)


class _Moment:
    """A stretch of time in a part of a measurement. Those of users end where a card's end, or lie within them."""

    def __init__(self, part: str, begin: float, end: float) -> None:
        self.part, self.begin, self.end = part, begin, end


def _fullest(gpu: Mapping[str, Any]) -> Optional[_Moment]:
    """When the card was fullest; None if nothing was told of it."""
    found = [(mib, part["started"], at, part) for part in gpu["over_time"] for at, mib in part["points"]]
    if not found:
        return None
    _mib, started, at, part = max(found, key=lambda one: one[0])
    return _Moment(started, at, at + width_of(part["points"]))


def width_of(points: Sequence[Sequence[float]]) -> float:
    """Seconds of a stretch: the least between two of them; endless for a single one."""
    return min((later[0] - earlier[0] for earlier, later in zip(points, points[1:])), default=float("inf"))


def _points_at(user: Mapping[str, Any], moment: Optional[_Moment]) -> list[int]:
    if moment is None:
        return [mib for part in user["over_time"] for _at, mib in part["points"]]
    return [
        mib
        for part in user["over_time"]
        if part["started"] == moment.part
        for at, mib in part["points"]
        if moment.begin <= at < moment.end
    ]


def _used_at(user: Mapping[str, Any], moment: Optional[_Moment]) -> Optional[int]:
    return max(_points_at(user, moment), default=None)


def _was_there(user: Mapping[str, Any], moment: Optional[_Moment]) -> bool:
    """Whether it was there then. Of one whose memory was never told nothing is known of when: it is named."""
    return bool(_points_at(user, moment)) or not any(part["points"] for part in user["over_time"])


def courses_of(
    measurements: Mapping[str, Measurement], pods: Mapping[str, PodName], cards: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Memory over time of the cards that were fullest, in the order of the cards.

    :param measurements: by node.
    :param cards: as in report.json.
    :returns: ``{node, gpu, uuid, product, memory_total_mib, ceiling_mib, parts}``, where a part is ``{started, width, used, users}`` with
        points of (seconds, MiB); users are as in memory_cards, with ``points`` in place of ``mib``.
    """
    full = sorted(
        (card for card in cards if card.get("before")),
        key=lambda card: -((card["before"]["used_mib"] or 0) / card["memory_total_mib"]),
    )[:MAX_COURSES]
    chosen = {(card["node"], card["uuid"]) for card in full}
    found = []
    for card in cards:
        if (card["node"], card["uuid"]) in chosen:
            measurement = measurements[card["node"]]
            [gpu] = [one for one in measurement["gpus"] if one["uuid"] == card["uuid"]]
            head = {name: card[name] for name in ("node", "gpu", "uuid", "product", "memory_total_mib")}
            state = card.get("after") or card["before"]
            ceiling = sum(device["ceiling_mib"] or 0 for device in state["devices"])
            parts = [_part(part, measurement, gpu, pods) for part in gpu["over_time"] if part["points"]]
            found.append({**head, "ceiling_mib": ceiling or None, "parts": parts})
    return [course for course in found if course["parts"]]


def _part(
    part: Mapping[str, Any], measurement: Measurement, gpu: Mapping[str, Any], pods: Mapping[str, PodName]
) -> dict[str, Any]:
    users = []
    for user in measurement["users"]:
        points = [one["points"] for one in user["over_time"] if one["started"] == part["started"]]
        if user["gpu"] == gpu["uuid"] and points and points[0]:
            described = describe_measured(user, pods, max(mib for _at, mib in points[0]))
            users.append({**described, "points": points[0]})
    width = width_of(part["points"])
    return {
        "started": part["started"],
        "width": None if width == float("inf") else width,
        "used": part["points"],
        "users": users,
    }
