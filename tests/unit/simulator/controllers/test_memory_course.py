from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.controllers.kubelet.memory_course import MEMORY_ANNOTATION, Course, course_of

L20 = "NVIDIA L20"


def course(value: object) -> Course | None:
    return course_of({"metadata": {"annotations": {MEMORY_ANNOTATION: json.dumps(value)}}}, L20)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        pytest.param(4621, {0: 4621, 9999: 4621}, id="always the same"),
        pytest.param({L20: 4621, "Tesla T4": 4401}, {0: 4621}, id="by product"),
        pytest.param([[0, 0], [10, 700], [20, 900]], {0: 0, 9.9: 0, 10: 700, 20: 900, 9999: 900}, id="steps"),
        pytest.param({L20: [[0, 1], [5, 2]]}, {0: 1, 5: 2}, id="steps by product"),
        pytest.param({"steps": [[0, 5], [4, 9]], "every": 6}, {0: 5, 4: 9, 5.9: 9, 6: 5, 10: 9, 602: 5}, id="anew"),
    ],
)
def test_course_says_the_memory_of_each_moment(value: object, at: dict[float, int]) -> None:
    found = course(value)
    assert found is not None
    assert {moment: found.at(moment) for moment in at} == at


@pytest.mark.parametrize("value", [None, 0, [[0, 0]], {"Tesla T4": 4401}])
def test_pod_without_memory_on_the_card_runs_nothing_there(value: object) -> None:
    assert course(value) is None


@pytest.mark.parametrize(
    "value", [[], [[1, 5]], [[0, 5], [9, 6], [3, 7]], {"steps": [[0, 5], [4, 9]], "every": 4}], ids=str
)
def test_course_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="steps .* must begin at 0"):
        course(value)


def test_next_change_is_told_in_seconds_from_now() -> None:
    once, anew = Course(((0.0, 1), (5.0, 2))), Course(((0.0, 1), (5.0, 2)), every=8.0)
    assert (once.until_next(1.5), once.until_next(5.0)) == (3.5, None)
    assert (anew.until_next(1.5), anew.until_next(6.0), anew.until_next(13.0)) == (3.5, 2.0, 3.0)


@settings(max_examples=500, deadline=None)
@example(begun=248.0, passed=1.3203125, found=Course(((0.0, 1), (5.3, 2)), every=8.7))
@given(
    begun=st.floats(0, 2e7, allow_subnormal=False),
    passed=st.floats(0, 1e5, allow_subnormal=False),
    found=st.sampled_from([Course(((0.0, 1), (5.3, 2), (60.1, 3))), Course(((0.0, 1), (5.3, 2)), every=8.7)]),
)
def test_change_that_was_waited_for_has_come(begun: float, passed: float, found: Course) -> None:
    """However the moments of a long simulation are rounded: otherwise it would be waited for again at once, for ever."""
    time = begun + passed
    for _unused in range(3):
        wait = found.until_next(time - begun)
        if wait is None:
            return
        before = found.at(time - begun)
        time += wait
        assert found.at(time - begun) != before
