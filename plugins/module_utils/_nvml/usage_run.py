# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples a node's GPUs for a time, and keeps what was seen in a file meanwhile. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Dict, List, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import NvmlUnavailableError, no_gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_reader import ask
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.opening import find_evidence, open_nvml
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import Nvml
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.sampler import Sampler
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_clock import UsageClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_file import UsageFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_owners import UsageOwners
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.recorder import Recorder

_WRITE_SECONDS, _LONGEST_WRITE_SECONDS = 10.0, 60.0
# Where hundreds of processes make it long, writing it takes a part of the time, and no more than that.
_WRITE_SHARE = 400
# Of times that are multiples of a decimal fraction.
_ROUNDING = 1e-6
_LATE = "The node was too slow for the interval: the sample before had not ended when they were due. Choose a longer interval."
_SILENT = "No GPU said which one it is."


@dataclass(frozen=True)
class UsageRequest:
    """What to sample.

    :param duration_seconds: from the first sample to the last; 0 for a single one.
    :param interval_seconds: from one sample to the next.
    :param nvml_library: libnvidia-ml.so.1 to use, None for what the loader finds.
    :param pynvml_path: pynvml.py to use, None for what is installed.
    """

    id: str
    duration_seconds: float
    interval_seconds: float
    nvml_library: Optional[str] = None
    pynvml_path: Optional[str] = None


class UsageRun:
    """One sampling.

    :param files: of the node.
    :param file: where to keep what was seen; None for nowhere.
    """

    def __init__(
        self, request: UsageRequest, files: NodeFiles, clock: UsageClock, file: Optional[UsageFile] = None
    ) -> None:
        self._request = request
        self._files = files
        self._clock = clock
        self._file = file
        self._recorder = Recorder(request.interval_seconds)
        self._owners = UsageOwners(files)
        self._sampler: Optional[Sampler] = None
        self._head: Dict[str, Any] = {"id": request.id, "nvml_available": True}
        self._started = clock.now()
        self._began = clock.monotonic()
        self._next_write = self._began

    def measure(self) -> Dict[str, Any]:
        """The measurement, also of a node whose NVML is out of reach (``nvml_available`` false, with the reason).

        :raises KubeGpuError: pynvml is missing or too old, or an option names something that is not what it should be.
        """
        request = self._request
        try:
            with open_nvml(request.nvml_library, request.pynvml_path, self._files) as nvml:
                sampler = self._open(nvml)
                complete = self._sample(sampler)
        except NvmlUnavailableError as unavailable:
            return self._give_up(unavailable.reason, unavailable.code)
        except KubeGpuError as error:
            # whoever collects the measurement has not seen the failure
            self._give_up(error.msg, "unknown")
            raise
        return self._keep(complete=complete)

    def _open(self, nvml: Nvml) -> Sampler:
        self._sampler = sampler = Sampler(nvml, self._owners)
        if not sampler.describe():
            raise no_gpu(find_evidence(self._request.nvml_library, self._files))
        self._head["driver_version"] = ask(nvml.driver_version)
        # what came before was not sampling
        self._started, self._began = self._clock.now(), self._clock.monotonic()
        self._next_write = self._began
        return sampler

    def _sample(self, sampler: Sampler) -> bool:
        """Sample until the time is over: True; or until the sampling shall end: False."""
        interval, number = self._request.interval_seconds, 0
        last = int(self._request.duration_seconds / interval + _ROUNDING)
        while number <= last:
            # always counted from the beginning: what a sample takes moves none of the next
            if self._clock.wait(self._began + number * interval - self._clock.monotonic()):
                return False
            late = int((self._elapsed() - number * interval) / interval)
            if late > 0:
                late = min(late, last + 1 - number)
                self._recorder.miss(self._clock.monotonic(), _LATE, late)
                number += late
                continue
            self._take(sampler)
            number += 1
        return True

    def _take(self, sampler: Sampler) -> None:
        at = self._clock.monotonic()
        sample = sampler.take(at)
        if sample.gpus:
            self._recorder.add(sample)
        else:
            self._recorder.miss(at, _SILENT)
        self._owners.follow(sample)
        if at >= self._next_write:
            begun = self._clock.monotonic()
            self._owners.refresh()
            self._keep(complete=False)
            pause = max(_WRITE_SECONDS, (self._clock.monotonic() - begun) * _WRITE_SHARE)
            self._next_write = at + min(pause, _LONGEST_WRITE_SECONDS) - _ROUNDING

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._began

    def _give_up(self, reason: str, code: str) -> Dict[str, Any]:
        """The measurement of a node on which there is nothing to sample."""
        self._head.update(nvml_available=False, reason=reason, reason_code=code)
        return self._keep(complete=False)

    def _keep(self, complete: bool) -> Dict[str, Any]:
        """The measurement as it is now, which also goes to the file."""
        seconds = self._elapsed()
        cards = self._sampler.describe() if self._sampler else []
        head = {
            **self._head,
            "complete": complete,
            "started": _rfc3339(self._started),
            # the clock may have been set meanwhile, and time passes all the same
            "ended": _rfc3339(self._started + timedelta(seconds=seconds)),
            "duration_seconds": seconds,
            "gpus": [card for card in cards if card["uuid"]],
        }
        document = self._recorder.document({**head, "notes": self._notes(cards)}, self._owners.describe)
        if self._file is None:
            return document
        self._file.write(document)
        problem = self._file.problem
        return {**document, "notes": [*document["notes"], problem]} if problem else document

    def _notes(self, cards: List[Dict[str, Any]]) -> List[str]:
        notes = [str(card["reason"]) for card in cards if not card["uuid"]]
        return notes + (self._sampler.notes() if self._sampler else []) + self._owners.notes()


def _rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
