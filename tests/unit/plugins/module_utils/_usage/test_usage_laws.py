# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds of every measurement: it says what a list of all samples would say, as exactly as it promises to."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, DefaultDict, Dict, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._usage.samples import measure, process

from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.document import read_measurement
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.histogram import MOST_BUCKETS, Figures, upper_edge
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.merge import merge_measurements
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.series import MOST_POINTS, Series
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.trend import slope_per_hour

MEMORY = st.integers(0, 200_000)
VALUES = st.lists(MEMORY, min_size=1, max_size=300)
CONTAINERS = ["c" * 64, "d" * 64, None]


def percentile_95(values: List[int]) -> int:
    """The smallest value that at least 95 % of the values do not exceed."""
    return sorted(values)[-(-len(values) * 95 // 100) - 1]


def figures_of(values: List[int]) -> Figures:
    made = Figures()
    for value in values:
        made.add(value)
    return made


@given(st.integers(0, 10_000_000))
def test_bucket_is_exact_below_a_gibibyte_and_to_four_in_a_thousand_above(value: int) -> None:
    edge = upper_edge(value)
    assert edge >= value
    assert edge == value if value <= 1024 else edge - value <= value * 0.004
    assert upper_edge(edge) == edge
    assert upper_edge(value + 1) >= edge


@given(VALUES)
def test_figures_are_those_of_the_list(values: List[int]) -> None:
    told: Any = figures_of(values).to_dict()
    assert (told["peak"], told["samples"]) == (max(values), len(values))
    assert told["mean"] == round(sum(values) / len(values), 1)
    true = percentile_95(values)
    assert true <= told["p95"] <= min(upper_edge(true), max(values))


@settings(max_examples=10)
@given(st.integers(1, 40), st.integers(0, 3))
def test_full_histogram_still_tells_high_percentiles(step: int, shift: int) -> None:
    values = [(number * 7919 + shift) % 4000 * step for number in range(4000)]
    figures = figures_of(values)
    assert len(figures.histogram()) <= MOST_BUCKETS
    assert sum(count for _edge, count in figures.histogram()) == len(values)
    told: Any = figures.to_dict()
    assert percentile_95(values) <= told["p95"] <= upper_edge(percentile_95(values))


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_figures_of_parts_are_those_of_the_whole(parts: List[List[int]]) -> None:
    together = Figures()
    for values in parts:
        made = figures_of(values)
        together.include(Figures.of(made.to_dict(), made.histogram()))
    told: Any = together.to_dict()
    whole: Any = figures_of([value for values in parts for value in values]).to_dict()
    assert told["mean"] == pytest.approx(whole["mean"], abs=0.11)
    assert {**told, "mean": 0} == {**whole, "mean": 0}


@given(
    st.sampled_from([0.1, 1.0, 5.0]),
    st.lists(st.tuples(st.floats(0, 100_000), MEMORY), min_size=1, max_size=60),
)
def test_series_has_the_highest_value_of_each_stretch(width: float, values: List[Any]) -> None:
    series = Series(width)
    for offset, value in values:
        series.add(offset, value)
    points = series.points()
    assert len(points) <= MOST_POINTS
    # stretches only ever double
    assert series.width in [width * 2**power for power in range(40)]
    naive: DefaultDict[int, int] = defaultdict(int)
    for offset, value in values:
        naive[int(offset / series.width)] = max(value, naive[int(offset / series.width)])
    assert points == [[round(number * series.width, 3), naive[number]] for number in sorted(naive)]
    assert max(value for _offset, value in points) == max(value for _offset, value in values)


@given(st.integers(-500, 500), st.integers(60, 4000), st.integers(1, 30))
def test_straight_line_has_its_slope(slope: int, seconds: int, step: int) -> None:
    points = [[float(at), 100_000 + slope * at] for at in range(0, seconds + step * 6, step)]
    told = slope_per_hour(points)
    assert told is not None
    assert told == pytest.approx(slope * 3600, rel=0.001, abs=0.1)


@given(st.lists(MEMORY, min_size=1, max_size=25), st.integers(1000, 90_000))
def test_start_that_is_short_makes_no_trend(start: List[int], steady: int) -> None:
    values = [*start, *([steady] * 100)]
    assert slope_per_hour([[float(number * 5), value] for number, value in enumerate(values)]) == 0


@st.composite
def samples(draw: Any) -> List[Any]:
    """Processes of each sample: of two containers, one pod without, and at times without memory."""
    one = st.tuples(st.integers(1, 4), st.one_of(st.none(), MEMORY), st.sampled_from(CONTAINERS))
    taken = draw(st.lists(st.lists(one, max_size=5, unique_by=lambda use: use[0]), max_size=12))
    return [[process(pid, used, container_id=container) for pid, used, container in found] for found in taken]


def naive_users(taken: List[Any]) -> Dict[Any, Any]:
    """What a list of all samples says of each user."""
    found: DefaultDict[Any, Dict[str, Any]] = defaultdict(
        lambda: {"sums": [], "largest": [], "samples": 0, "untold": 0}
    )
    for processes in taken:
        uses: DefaultDict[Any, List[Any]] = defaultdict(list)
        for use in processes:
            uses[use.container_id].append(use.used_mib)
        for container, memory in uses.items():
            user = found[container]
            user["samples"] += 1
            if None in memory:
                user["untold"] += 1
            else:
                user["sums"].append(sum(memory))
                user["largest"].append(max(memory))
    return found


def check_user(user: Dict[str, Any], true: Dict[str, Any]) -> None:
    assert (user["samples"], user["untold"]) == (true["samples"], true["untold"])
    for name, values in (("memory_mib", true["sums"]), ("process_memory_mib", true["largest"])):
        if not values:
            assert user[name] is None
            continue
        assert (user[name]["peak"], user[name]["samples"]) == (max(values), len(values))
        assert user[name]["mean"] == pytest.approx(sum(values) / len(values), abs=0.16)
        assert percentile_95(values) <= user[name]["p95"] <= min(max(values), upper_edge(percentile_95(values)))


@settings(max_examples=60)
@given(samples())
def test_measurement_says_what_the_samples_say(taken: List[Any]) -> None:
    document = measure(*taken)
    assert read_measurement("it", document) == document
    true = naive_users(taken)
    assert {user["container_id"] for user in document["users"]} == set(true)
    for user in document["users"]:
        check_user(user, true[user["container_id"]])


@settings(max_examples=60)
@given(st.lists(samples(), min_size=1, max_size=3), st.randoms())
def test_merged_measurement_says_what_all_samples_say(parts: List[Any], random: Any) -> None:
    measured = [measure(*taken, id=f"run-{number}", begin=3600.0 * number) for number, taken in enumerate(parts)]
    # a copy that was fetched too early counts for nothing, and order for nothing
    given_parts = [*measured, measure(*parts[0][:-1], id="run-0", complete=False)]
    random.shuffle(given_parts)
    merged = merge_measurements(given_parts)
    assert json.loads(json.dumps(merged)) == merged
    everything = [processes for taken in parts for processes in taken]
    true = naive_users(everything)
    assert {user["container_id"] for user in merged["users"]} == set(true)
    for user in merged["users"]:
        check_user(user, true[user["container_id"]])
    assert merged["samples"] == len(everything)
    assert merged["ids"] == [f"run-{number}" for number in range(len(parts))]
