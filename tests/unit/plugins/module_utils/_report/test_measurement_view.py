# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement on the terminal."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._report.measured_story import FIRST, SECOND, MeasuredStory, make_config, make_workload

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measured import Measured, summarise_measurement
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measurement_view import show_measurement
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text

FRAGMENT = "/var/tmp/measurements/proposal.yml"


@pytest.fixture
def measured() -> MeasuredStory:
    return MeasuredStory()


def summary(story: MeasuredStory, **changes: Any) -> dict[str, Any]:
    given = {
        "plan": story.plan,
        "proposed": story.proposed,
        "measurements": story.measurements,
        "clusters": story.clusters,
        "fragment_path": FRAGMENT,
        **changes,
    }
    return summarise_measurement(Measured(story.proposal, **given), "2026-03-01T12:11:00Z")


def show(story: MeasuredStory, width: int = 120, limit: int = 50, **changes: Any) -> str:
    return render_text(show_measurement(summary(story, **changes), limit), Screen(width, width))


def section(text: str, heading: str) -> str:
    [found] = [block for block in text.split("\n\n") if block.startswith(heading + "\n")]
    return found


def test_show_measurement_says_first_what_would_change(measured: MeasuredStory) -> None:
    lines = show(measured).splitlines()
    assert lines[0] == f"Measurement {FIRST}"
    assert lines[1].startswith(
        "2 GPU slots now, 11 as configured, 14 with the proposal. 3 workloads on 2 hosts, 10 minutes"
    )


@pytest.mark.parametrize(
    ("this_run", "samplings", "title"),
    [
        ({"id": FIRST}, [FIRST], f"Measurement {FIRST}"),
        ({"id": SECOND}, [FIRST, SECOND], f"Measurement {SECOND}, with 1 earlier one"),
        ({"id": SECOND}, [FIRST], f"Measurement {SECOND}, of which nothing has come, with 1 earlier one"),
        ({"id": ""}, [FIRST], f"Nothing sampled in this run; measurement {FIRST} of before"),
        ({"id": ""}, [FIRST, SECOND], "Nothing sampled in this run; 2 measurements of before"),
        ({"id": ""}, [], "Nothing sampled in this run"),
    ],
)
def test_show_measurement_title_tells_what_this_run_has_sampled(
    measured: MeasuredStory, this_run: dict[str, Any], samplings: list[str], title: str
) -> None:
    figures = {**summary(measured, extra={"this_run": this_run}), "samplings": samplings}
    document = show_measurement(figures, 50)
    assert document.title == title
    assert ("of samples in 2 measurements" in document.subtitle) == (len(samplings) == 2)


def test_show_measurement_of_a_limited_run_says_whose_slots_are_counted(measured: MeasuredStory) -> None:
    text = show(measured, extra={"this_run": {"id": FIRST, "hosts": 1, "limited": True}})
    assert "This run is limited to 1 host: slots are those of its node alone." in " ".join(text.split())
    assert "limited" not in show(measured, extra={"this_run": {"id": FIRST, "hosts": 2, "limited": False}})


def test_show_measurement_prints_the_fragment_as_it_is(measured: MeasuredStory) -> None:
    found = section(show(measured), "To take it over").splitlines()
    assert found[-3:] == ["    kubegpu_sharing_configs:", "      l20:", "        process_memory_mib: 4012"]
    measured.proposal["fragment"] = "\n".join(f"# {number}" for number in range(500))
    found = section(show(measured), "To take it over").splitlines()
    assert found[-2:] == ["    # 59", "    # and more, in the file"]


def test_show_measurement_explains_only_columns_that_are_there(measured: MeasuredStory) -> None:
    assert "MiB/h how fast it grew" in " ".join(section(show(measured), "Memory by workload").split())
    measured.proposal["workloads"] = [make_workload("web", 900)]
    assert "MiB/h" not in section(show(measured), "Memory by workload")


def test_show_measurement_sizes_have_their_arithmetic_and_who_decided(measured: MeasuredStory) -> None:
    found = section(show(measured), "Proposed sizes")
    assert "l20     4621  4012      4012      600  measured    default/nlp" in found
    assert "Config t4: ceil(3300 x 1.00) = 3300" in found
    changes = section(show(measured), "What it would change")
    assert "floor(0.9 x 46068 / 4012) = 10" in changes
    assert changes.splitlines()[-1].split() == ["Total", "2", "11", "14"]


def test_show_measurement_workloads_are_in_order_of_their_peaks_with_each_container(measured: MeasuredStory) -> None:
    lines = section(show(measured), "Memory by workload").splitlines()
    assert [line.split()[0] for line in lines[5:]] == ["default/nlp", "t4", "default/serve", "·", "·", "default/web"]
    assert "2 pods on 2 nodes  4012  3992  3009" in lines[5]
    assert lines[8].split() == ["·", "model", "3300", "3280", "2475", "+120"]


def test_show_measurement_columns_without_news_are_left_out(measured: MeasuredStory) -> None:
    measured.proposal["workloads"] = [make_workload("web", 900)]
    heads = section(show(measured), "Memory by workload").splitlines()[3].split()
    assert heads == ["Workload", "Config", "Runs", "as", "Peak", "p95", "Mean"]
    measured.proposal["workloads"][0]["containers"][0].update(slots=2, processes=3)
    assert {"Slots", "Processes"} <= set(section(show(measured), "Memory by workload").splitlines()[3].split())


def test_show_measurement_memory_that_nvml_did_not_tell_is_no_number(measured: MeasuredStory) -> None:
    measured.proposal["workloads"] = [make_workload("web", 0)]
    measured.proposal["workloads"][0]["containers"][0].update(peak_mib=None, p95_mib=None, mean_mib=None)
    measured.proposal["configs"] = {"l20": make_config(0, 4621, 0, process_memory_mib=None, measured_peak_mib=None)}
    measured.proposal["configs"]["l20"].update(
        confidence="untold", arithmetic="", why="NVML tells no memory of processes here"
    )
    text = show(measured)
    assert section(text, "Memory by workload").splitlines()[-1].split()[-3:] == ["-", "-", "-"]
    assert "NVML does not tell" in section(text, "Proposed sizes")
    assert "Config l20: NVML tells no memory of processes here" in text
    # nothing to take over
    assert "Fragment" not in text


def test_show_measurement_tells_what_it_does_not_know(measured: MeasuredStory) -> None:
    text = show(measured)
    assert "gpu-l20, GPU 0: process 812 nvidia-persistenced outside of pods, 4 MiB at most" in text
    assert "default/nlp-2: Pending: 0/8 nodes are available" in section(text, "Not measured")
    warnings = section(text, "Warnings").splitlines()
    assert warnings[1:] == [
        "  · growing: default/serve: grew by 120 MiB an hour",
        "  · short: gpu-t4: 600 s of samples",
    ]
    assert FRAGMENT in text


def test_show_measurement_sizes_of_mig_devices_are_told_by_resource(measured: MeasuredStory) -> None:
    resources = {
        "nvidia.com/mig-1g.10gb": make_config(900, None, 900),
        "nvidia.com/mig-3g.40gb": make_config(4000, None, 4000, decided_by=None),
    }
    measured.proposal["configs"] = {"a100": make_config(4000, None, 4000, by_resource=resources)}
    found = section(show(measured), "Proposed sizes")
    assert "a100: mig-1g.10gb" in found
    assert "a100: mig-3g.40gb" in found
    assert "Config a100: mig-3g.40gb: ceil(4000 x 1.00) = 4000" in found


def test_show_measurement_of_a_proposal_that_a_plan_refuses_says_so_first(measured: MeasuredStory) -> None:
    measured.proposed["problems"] = [{"message": "gpu-t4: one process of 99999 MiB does not fit"}]
    text = show(measured)
    assert "would be refused" in text.splitlines()[1]
    assert "does not fit" in section(text, "A plan with the proposal would be refused")
    assert summary(measured)["slots_proposed"] is None


def test_show_measurement_without_plans_or_news_still_says_what_was_measured(measured: MeasuredStory) -> None:
    assert "A size is proposed for configs l20, t4. 3 workloads" in show(measured, plan=None, proposed=None)
    for config in measured.proposal["configs"].values():
        config["current"] = config["process_memory_mib"]
    text = show(measured, proposed=measured.plan)
    assert "2 GPU slots now, 11 as configured; no other size is proposed for any config." in text
    assert "Fragment" not in text
    measured.proposal.update(configs={}, workloads=[], outside=[], never_ran=[], warnings=[], hosts=0, seconds=0)
    assert "No config was measured." in show(measured, plan=None, proposed=None)


@pytest.mark.parametrize("width", [80, 120])
def test_show_measurement_fits_the_screen(measured: MeasuredStory, width: int) -> None:
    assert max(map(len, show(measured, width).splitlines())) <= width


def test_show_measurement_of_many_workloads_counts_what_it_leaves_out(measured: MeasuredStory) -> None:
    measured.proposal["workloads"] = [make_workload(f"web-{number}", number) for number in range(60)]
    assert "… and 55 more, not shown here" in show(measured, limit=5)


def test_show_measurement_pods_that_never_ran_are_told_once(measured: MeasuredStory) -> None:
    never = {
        "severity": "warning",
        "code": "never_ran",
        "object": "Deployment default/nlp",
        "message": "nlp-2 used none",
    }
    measured.proposal["warnings"].append(never)
    text = show(measured)
    assert "nlp-2 used none" not in text
    assert "default/nlp-2: Pending" in text


def test_show_measurement_of_configs_without_sizes_tells_slots_now_and_proposed(measured: MeasuredStory) -> None:
    for config in measured.proposal["configs"].values():
        config["current"] = None
    # such a plan is refused, or none was made
    measured.plan["problems"] = [{"message": "config l20 states neither process_memory_mib nor replicas"}]
    for plan in (measured.plan, None):
        text = show(measured, plan=plan)
        assert text.splitlines()[1].startswith("2 GPU slots now, 14 with the proposal. 3 workloads")
        found = section(text, "What it would change")
        assert found.splitlines()[2].split() == ["Node", "GPUs", "Config", "Now", "Proposed", "Arithmetic"]
        assert found.splitlines()[-1].split() == ["Total", "2", "14"]


def test_show_measurement_of_a_moment_says_when_once(measured: MeasuredStory) -> None:
    measured.proposal.update(measured_to="2026-03-01T12:00:03Z", seconds=3)
    assert "3 s of samples at 2026-03-01 12:00 UTC." in show(measured)
