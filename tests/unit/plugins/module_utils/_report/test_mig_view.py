# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MIG devices in the plan's words, made by the planner from facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils._plan import fleet
from unit.plugins.module_utils._plan.mig_fleet import EXPORTER, OWNED, allocation, h20, node, request

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.inspection import inspect_cluster
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_figure import draw_memory
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.mig_view import describe_layout
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.outcome import Rollout, summarise
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_view import show_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Figure, Rect
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text

ONE_G = "nvidia.com/mig-1g.12gb"


def show(wanted: PlanRequest, width: int = 105) -> str:
    return render_text(show_plan(build_plan(wanted), 50), Screen(width, width))


def test_plan_says_what_each_gpu_keeps_destroys_and_creates() -> None:
    wanted = request([h20(), h20(index=1)], {"devices": {"1g.12gb": 7}}, fleet.node(2))
    wanted = replace(wanted, cluster={**wanted.cluster, "daemonsets": [EXPORTER]})
    text = show(wanted, 120)
    assert "h20   0, 1  MIG off  7 × 1g.12gb at 0-6 (keeps 0, destroys 0, creates 7)" in text
    assert (
        "h20: paused meanwhile, since they keep the driver open: DaemonSets monitoring/dcgm-exporter (by taint)."
        in text
    )
    assert "Config h20: MIG mixed, not shared\n" in text


@pytest.mark.parametrize("width", [80, 105])
def test_plan_fits_the_screen(width: int) -> None:
    pods = [fleet.pod("job", {"nvidia.com/mig-3g.48gb": 1}, owner=OWNED)]
    gpu = h20(("3g.48gb", 0), ("1g.12gb", 5))
    wanted = request(
        [gpu],
        {"devices": {"1g.12gb": 7}},
        node({"nvidia.com/mig-3g.48gb": 1, ONE_G: 1}, pods),
        [allocation(pods[0], "MIG-h20-0-1", resource="nvidia.com/mig-3g.48gb")],
        sharing="time_slicing",
        process_memory_mib=4401,
    )
    document = show_plan(build_plan(wanted), 50)
    assert max(map(len, render_text(document, Screen(width, width)).splitlines())) <= width
    cells = [cell for section in document.sections if section.table for row in section.table.rows for cell in row]
    assert "1 × 3g.48gb at 0, 1 × 1g.12gb at 5" in cells
    assert "7 × 1g.12gb at 0-6 (keeps 1, destroys 1, creates 6)" in cells
    assert "cordoned, 1 pod evicted, MIG devices laid out, plugin switched" in cells


def test_several_kinds_of_devices_have_a_row_each() -> None:
    text = show(
        request([h20()], {"devices": {"3g.48gb": 1, "1g.12gb": 3}}, sharing="time_slicing", process_memory_mib=4401)
    )
    assert "h20    h20: mig-1g.12gb     4401         2  80.0 %  5504      1103  1 → 15" in text
    assert "       h20: mig-3g.48gb     4401         9  88.4 %  4977       576" in text
    assert "· Config h20: MIG mixed, time-slicing, mig-1g.12gb: floor(0.9 x 11008 / 4401) = 2" in text
    assert "· Config h20: MIG mixed, time-slicing, mig-3g.48gb: floor(0.9 x 44800 / 4401) = 9" in text


def instance(profile: str, start: int, *compute: Any) -> dict[str, Any]:
    return {"profile": profile, "start": start, "compute": list(compute)}


@pytest.mark.parametrize(
    ("mode", "instances", "words"),
    [
        ("disabled", [], "MIG off"),
        ("enabled", [], "MIG on, empty"),
        ("enabled", [instance("3g.48gb", 4, 3), instance("1g.12gb", 0, 1)], "1 × 3g.48gb at 4, 1 × 1g.12gb at 0"),
        ("enabled", [instance("3g.48gb", 0)], "1 × 3g.48gb without compute instance at 0"),
        (
            "enabled",
            [instance("3g.48gb", 0, {"slices": 2}, {"slices": 1})],
            "1 × 3g.48gb (2c.3g.48gb + 1c.3g.48gb) at 0",
        ),
    ],
)
def test_layouts_are_described_with_their_places(mode: str, instances: list[Any], words: str) -> None:
    assert describe_layout({"mode": mode, "instances": instances}) == words


def test_inspection_shows_the_devices_that_exist() -> None:
    unread = h20(("1g.12gb", 0), ("1g.12gb", 1))
    unread["mig"]["instances"] = None
    cluster = fleet.cluster({"a": fleet.node(1), "b": fleet.node(1), "c": fleet.node(1)}, requests={})
    for entry in cluster["nodes"].values():
        entry["gpu"] = True
    facts = {
        "a": fleet.host_facts([h20(("3g.48gb", 4), ("1g.12gb", 0))]),
        "b": fleet.host_facts([unread]),
        "c": fleet.host_facts([h20()]),
    }
    text = " ".join(render_text(inspect_cluster(cluster, facts, 50), Screen(160, 160)).split())
    assert "1 × 3g.48gb at 4, 1 × 1g.12gb at 0 nvml" in text
    assert "2 × 1g.12gb nvml" in text
    assert "yes, disabled nvml" in text


def drawn(devices: dict[str, int]) -> Figure:
    """The figure of a node whose two GPUs get these devices, with time-slicing on each of them."""
    wanted = request(
        [h20(), h20(index=1)], {"devices": devices}, fleet.node(2), sharing="time_slicing", process_memory_mib=4401
    )
    nodes = {"h20": build_plan(wanted)["nodes"]["h20"]}
    cluster = fleet.cluster({"h20": fleet.node(2)})
    return draw_memory(
        summarise(Rollout({"plan_id": "x", "nodes": nodes}, cluster, cluster), "2026-03-01T12:00:00Z")["nodes"]
    )


def rects(figure: Figure, style: str) -> list[Rect]:
    return [shape for shape in figure.shapes if isinstance(shape, Rect) and shape.style == style]


def test_memory_figure_cuts_a_card_in_seven_and_each_device_into_slots() -> None:
    figure = drawn({"1g.12gb": 7})
    assert figure.description == (
        "NVIDIA H20, config h20, 7 × 1g.12gb, each 2 slots × 5504 MiB: 4401 process + 1103 headroom, on h20"
    )
    devices, processes = rects(figure, "mig-device"), rects(figure, "process")
    assert (len(devices), len(processes)) == (7, 14)
    # seven of eight memory units are given to devices
    assert [device.x for device in devices] == pytest.approx([figure.width / 8 * number for number in range(7)])
    for number, process in enumerate(processes):
        device = devices[number // 2]
        assert device.x < process.x < process.x + process.width < device.x + device.width
    assert ("mig-device", "MIG device") in figure.legend


def test_memory_figure_puts_devices_of_different_size_at_their_places() -> None:
    figure = drawn({"3g.48gb": 1, "1g.12gb": 3})
    [whole] = rects(figure, "card")
    small, large = rects(figure, "mig-device")[0], rects(figure, "mig-device")[-1]
    assert (small.x, large.x) == pytest.approx((0, whole.width / 2))
    assert len(rects(figure, "process")) == 3 * 2 + 9
    assert "1 × 3g.48gb, each 9 slots × 4977 MiB: 4401 process + 576 headroom" in figure.description
    assert all(shape.y + shape.height <= figure.height for shape in rects(figure, "process"))


def test_memory_figure_draws_devices_by_their_memory_where_no_layout_tells_their_places() -> None:
    part = {"memory_total_mib": 11008, "slot_mib": 5504, "process_memory_mib": 4401, "utilization": 0.7996}
    entry = {"product": "NVIDIA H20", "key": "h20", "mig_devices": {ONE_G: 7}, "by_resource": {ONE_G: part}}
    assert "NVIDIA H20, mig-1g.12gb, config h20, 2 slots × 5504 MiB: 4401 process + 1103 headroom, on h20" in (
        draw_memory({"h20": entry}).description
    )
