# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the checks of noxfile.py, every one whatever the others found, and say at the end how each went.

checks.py [SESSION...]
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
REPORT = ROOT / "build" / "checks.json"


def main(sessions: list[str]) -> int:
    """Exit status 0 if nothing failed."""
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.unlink(missing_ok=True)
    nox = [sys.executable, "-m", "nox", "--non-interactive", "--noxfile", str(ROOT / "noxfile.py")]
    chosen = ["--session", *sessions] if sessions else []
    started = time.monotonic()
    finished = subprocess.run([*nox, "--report", str(REPORT), *chosen], cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
    if not REPORT.exists():
        # Nox could not even start; it has said why.
        return finished.returncode or 1
    results = json.loads(REPORT.read_text(encoding="utf-8"))["sessions"]
    print(summary(results, time.monotonic() - started), flush=True)
    return 1 if any(failed(result) for result in results) else finished.returncode


def failed(result: dict) -> bool:
    """Whether a session found something; one that is skipped has said what this machine lacks."""
    return result["result"] not in ("success", "skipped")


def summary(results: list[dict], seconds: float) -> str:
    """A line for each session, and a last one that counts them."""
    width = max(len(result["name"]) for result in results)
    lines = ["", f"{'check'.ljust(width)}  result       time"]
    for result in results:
        verdict = "failed" if failed(result) else {"success": "passed"}.get(result["result"], result["result"])
        duration = f"{result.get('duration', 0):6.0f} s"
        reason = f"  {result['reason']}" if result.get("reason") else ""
        lines.append(f"{result['name'].ljust(width)}  {verdict:9} {duration}{reason}")
    lines.append(f"{'all'.ljust(width)}  {'':9} {seconds:6.0f} s")
    bad = sum(map(failed, results))
    good = sum(result["result"] == "success" for result in results)
    return "\n".join([*lines, "", f"{good} passed, {bad} failed"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
