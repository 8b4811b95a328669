# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples a node's GPUs for a time, and keeps what was seen in a file meanwhile. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Dict, List, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import DEFAULT_PATH, is_being_changed
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
_GAVE_WAY = "The GPUs of this host were being changed, and the sampling let go of them for that time."
# How often it is looked whether somebody wants to change them, and how long nobody has to before they are opened again: the lock is
# free for a moment between a change of the MIG mode and the reset that it waits for.
_LOOK_SECONDS = 1.0
_QUIET_SECONDS = 30.0
_SILENT = "No GPU said which one it is."


@dataclass(frozen=True)
class UsageRequest:
    """What to sample.

    :param duration_seconds: from the first sample to the last; 0 for a single one.
    :param interval_seconds: from one sample to the next.
    :param nvml_library: libnvidia-ml.so.1 to use, None for what the loader finds.
    :param pynvml_path: pynvml.py to use, None for what is installed.
    :param lock_path: file that is locked by who changes the GPUs of the host. Who samples holds them, and gives way.
    """

    id: str
    duration_seconds: float
    interval_seconds: float
    nvml_library: Optional[str] = None
    pynvml_path: Optional[str] = None
    lock_path: str = DEFAULT_PATH


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
        self._number = 0
        self._last = int(request.duration_seconds / request.interval_seconds + _ROUNDING)
        self._gave_way = False
        self._problem: Optional[str] = None

    def measure(self) -> Dict[str, Any]:
        """The measurement, also of a node whose NVML is out of reach (``nvml_available`` false, with the reason).

        :raises KubeGpuError: pynvml is missing or too old, or an option names something that is not what it should be.
        """
        complete: Optional[bool] = None
        try:
            while complete is None:
                complete = self._wait_for_quiet()
                if complete is None:
                    complete = self._sample_once()
        except NvmlUnavailableError as unavailable:
            if self._sampler is not None and self._number:
                # what was seen before stands
                self._problem = unavailable.reason
                return self._keep(complete=False)
            return self._give_up(unavailable.reason, unavailable.code)
        except KubeGpuError as error:
            # whoever collects the measurement has not seen the failure
            self._give_up(error.msg, "unknown")
            raise
        return self._keep(complete=complete)

    def _wait_for_quiet(self) -> Optional[bool]:
        """Wait while the GPUs of the host are being changed. None if they are not; else how the sampling ended meanwhile."""
        if not self._gave_way and not is_being_changed(self._request.lock_path):
            return None
        self._gave_way, quiet = True, 0.0
        while quiet < _QUIET_SECONDS:
            if self._clock.wait(_LOOK_SECONDS):
                return False
            if self._elapsed() > self._request.duration_seconds:
                self._miss(self._last + 1 - self._number)
                return self._sampler is not None
            quiet = 0.0 if is_being_changed(self._request.lock_path) else quiet + _LOOK_SECONDS
        return None

    def _sample_once(self) -> Optional[bool]:
        """Sample in one session of NVML, until the time is over: True; until the sampling shall end: False; until somebody wants to
        change the GPUs: None.
        """
        request = self._request
        with open_nvml(request.nvml_library, request.pynvml_path, self._files) as nvml:
            if self._sampler is None:
                return self._sample(self._open(nvml))
            self._sampler.reopen(nvml)
            return self._sample(self._sampler)

    def _open(self, nvml: Nvml) -> Sampler:
        self._sampler = sampler = Sampler(nvml, self._owners)
        if not sampler.describe():
            raise no_gpu(find_evidence(self._request.nvml_library, self._files))
        self._head["driver_version"] = ask(nvml.driver_version)
        # what came before was not sampling
        self._started, self._began = self._clock.now(), self._clock.monotonic()
        self._next_write = self._began
        return sampler

    def _sample(self, sampler: Sampler) -> Optional[bool]:
        interval = self._request.interval_seconds
        while self._number <= self._last:
            # always counted from the beginning: what a sample takes moves none of the next
            reached = self._wait_until(self._began + self._number * interval)
            if not reached:
                return reached
            late = int((self._elapsed() - self._number * interval) / interval)
            if late > 0:
                self._miss(min(late, self._last + 1 - self._number))
                continue
            self._take(sampler)
            self._number += 1
        return True

    def _wait_until(self, due: float) -> Optional[bool]:
        """True when it is time; False if the sampling shall end before; None if it is to give way."""
        while True:
            if is_being_changed(self._request.lock_path):
                self._gave_way = True
                return None
            left = due - self._clock.monotonic()
            if self._clock.wait(min(left, _LOOK_SECONDS)):
                return False
            if left <= _LOOK_SECONDS:
                return True

    def _miss(self, count: int) -> None:
        self._recorder.miss(self._clock.monotonic(), _GAVE_WAY if self._gave_way else _LATE, count)
        self._number += count
        self._gave_way = False

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
        notes += [] if self._problem is None else [self._problem]
        return notes + (self._sampler.notes() if self._sampler else []) + self._owners.notes()


def _rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
