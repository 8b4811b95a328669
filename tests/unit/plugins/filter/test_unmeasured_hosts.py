# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of hosts whose measurement is missing."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.filter.unmeasured_hosts import unmeasured_hosts

RUN, PATH = "20260101-120000-abcdef", "/var/lib/m"
BEGUN = {"ansible_job_id": "j1.2", "started": 1}
LATER = f"What it has measured lies in {PATH} on it, and the next run of kubegpu.sharing.measure that reaches it collects it."
NOT_ASKED = {"skipped": True}


def run_with(**words: Any) -> dict[str, Any]:
    return {"written": [], "missing": [], "runs": [{"id": RUN, **words}]}


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        pytest.param([BEGUN, {"written": [RUN], "runs": []}, NOT_ASKED], None, id="fetched"),
        pytest.param(
            [BEGUN, {"written": [], "runs": []}, {"finished": 1, "measurement": {"id": RUN}}], None, id="from memory"
        ),
        pytest.param(
            [{"unreachable": True, "msg": "Task failed: No route to host.\nssh: more"}, {}, {}],
            "gpu-1 was not measured: it could not be reached when the sampling began (No route to host).",
            id="never reached",
        ),
        pytest.param(
            [{"unreachable": True, "msg": "broken pipe"}, {"written": [RUN], "runs": []}, {}],
            None,
            id="lost when it had begun",
        ),
        pytest.param(
            [{"failed": True, "msg": "no Python"}, {"written": [], "runs": []}, NOT_ASKED],
            "gpu-1 was not measured: the sampling could not begin (no Python).",
            id="never began",
        ),
        pytest.param(
            [{}, {}, {}], "gpu-1 was not measured: the sampling could not begin (no message).", id="taken out"
        ),
        pytest.param(
            [BEGUN, {"unreachable": True, "msg": "timed out"}, NOT_ASKED],
            f"gpu-1 does not answer (timed out). {LATER}",
            id="lost",
        ),
        pytest.param(
            [BEGUN, run_with(running=True, state="running"), NOT_ASKED], f"gpu-1 samples still. {LATER}", id="late"
        ),
        pytest.param(
            [BEGUN, run_with(running=False, state="unreadable", reason="it is cut off"), NOT_ASKED],
            "gpu-1 has a measurement that is no use: it is cut off.",
            id="unreadable",
        ),
        pytest.param(
            [BEGUN, {"failed": True, "msg": "disk full"}, NOT_ASKED],
            f"gpu-1 did not hand on its measurement (disk full). {LATER}",
            id="not handed on",
        ),
        pytest.param(
            [BEGUN, {"written": [], "runs": []}, {"finished": 1, "failed": True, "msg": "no pynvml"}],
            "gpu-1 was not measured: the sampling failed there (no pynvml).",
            id="failed",
        ),
        pytest.param(
            [BEGUN, {"written": [], "runs": []}, {"finished": 0, "failed": True, "attempts": 5}],
            "gpu-1 was not measured: it has left no file, and its job has not ended in time, or has died without a word.",
            id="not ended",
        ),
        pytest.param(
            [BEGUN, {"written": [], "runs": []}, {}],
            "gpu-1 was not measured: the sampling has left nothing there, as if the host had been set up anew.",
            id="nothing left",
        ),
    ],
)
def test_host_without_measurement_is_told_with_the_reason(results: list[Any], sentence: str | None) -> None:
    assert unmeasured_hosts({"gpu-1": results}, RUN, PATH) == ([sentence] if sentence else [])
