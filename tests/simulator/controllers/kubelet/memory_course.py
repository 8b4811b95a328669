"""The memory that a pod's program takes on a GPU, as its annotation says it: always the same, or changing over time.

``simulator.kubegpu/gpu-memory-mib`` is a number of MiB, or a mapping of numbers by the product's name. In place of a number there
may be a course: ``[[0, 3000], [60, 4621]]`` takes 4621 MiB from the sixtieth simulated second after the program began to use
the GPU, and goes on like that; ``{"steps": [[0, 3000], [60, 4621]], "every": 90}`` begins anew every 90 seconds. Where a
course says 0 the program has no context on the GPU.
"""

from __future__ import annotations

import bisect
import json
from dataclasses import dataclass
from typing import Any

from simulator.controllers.meta import ANNOTATION_PREFIX

Object = dict[str, Any]
MEMORY_ANNOTATION = ANNOTATION_PREFIX + "gpu-memory-mib"
#: Seconds by which a change comes early: far more than moments of a long simulation lose by rounding. Otherwise one that was
#: waited for may seem to be a hair away, again and again, without end.
HAIR = 2.0**-20


@dataclass(frozen=True)
class Course:
    """``steps``: seconds since the begin and the MiB from then on, in order, the first at 0. ``every``: begins anew."""

    steps: tuple[tuple[float, int], ...]
    every: float | None = None

    @property
    def constant(self) -> bool:
        return len(self.steps) == 1

    def at(self, seconds: float) -> int:
        """MiB so many seconds after the begin."""
        return self.steps[self._step(self._within(seconds))][1]

    def until_next(self, seconds: float) -> float | None:
        """Seconds until the memory changes next; None: it stays."""
        within = self._within(seconds)
        following = self._step(within) + 1
        if following < len(self.steps):
            return self.steps[following][0] - within + HAIR
        return None if self.every is None or self.constant else self.every - within + HAIR

    def _within(self, seconds: float) -> float:
        seconds += HAIR
        return seconds if self.every is None else seconds % self.every

    def _step(self, within: float) -> int:
        return bisect.bisect_right([moment for moment, _unused in self.steps], within) - 1


def course_of(pod: Object, product: str) -> Course | None:
    """What the pod's annotation says about a card of that product; None: the pod runs nothing on it.

    ValueError: the annotation says something else.
    """
    text = (pod["metadata"].get("annotations") or {}).get(MEMORY_ANNOTATION)
    if text is None:
        return None
    value = json.loads(text)
    if isinstance(value, dict) and "steps" not in value:
        value = value.get(product)
    course = _course(value)
    return course if course is not None and any(used for _unused, used in course.steps) else None


def _course(value: Any) -> Course | None:
    if value is None:
        return None
    every = None
    if isinstance(value, dict):
        value, every = value["steps"], float(value["every"])
    if not isinstance(value, list):
        return Course(((0.0, int(value)),))
    steps = tuple((float(moment), int(used)) for moment, used in value)
    if not steps or steps[0][0] != 0 or list(steps) != sorted(steps) or (every is not None and every <= steps[-1][0]):
        raise ValueError(f"{MEMORY_ANNOTATION}: steps {steps} must begin at 0 and rise, and end before they begin anew")
    return Course(steps, every)
