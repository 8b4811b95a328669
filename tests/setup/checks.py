# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the checks of noxfile.py, every one whatever the others found, and say at the end how each went and what failed.

checks.py [SESSION...]
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent.parent
REPORT = ROOT / "build" / "checks.json"
#: What pytest records of each of its runs; CI systems can read it too (JUnit's format).
RECORDS = ROOT / "build" / "checks"
#: Failed tests of a session that are named at the end; of a defect that fails a hundred, the first tell enough.
NAMED = 15


def main(sessions: list[str]) -> int:
    """Exit status 0 if nothing failed."""
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.unlink(missing_ok=True)
    shutil.rmtree(RECORDS, ignore_errors=True)
    nox = [sys.executable, "-m", "nox", "--non-interactive", "--noxfile", str(ROOT / "noxfile.py")]
    chosen = ["--session", *sessions] if sessions else []
    started = time.monotonic()
    finished = subprocess.run([*nox, "--report", str(REPORT), *chosen], cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
    if not REPORT.exists():
        # Nox could not even start; it has said why.
        return finished.returncode or 1
    results = json.loads(REPORT.read_text(encoding="utf-8"))["sessions"]
    print(summary(results, time.monotonic() - started, RECORDS), flush=True)
    return 1 if any(failed(result) for result in results) else finished.returncode


def failed(result: dict) -> bool:
    """Whether a session found something; one that is skipped has said what this machine lacks."""
    return result["result"] not in ("success", "skipped")


def recording(session: str) -> list[str]:
    """Arguments with which pytest records a run of a session (it may have several) below ``RECORDS``."""
    # The older family of the format, which has the file of a test.
    return [f"--junit-xml={next_record(session)}", "--override-ini=junit_family=xunit1"]


def keep(session: str, directory: Path) -> None:
    """Take what another tool recorded in a directory, in the same format, as records of a session."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    for record in sorted(directory.glob("*.xml")):
        shutil.copyfile(record, next_record(session))


def next_record(session: str) -> Path:
    """The file for one more record of a session."""
    return RECORDS / f"{session}.{len(list(RECORDS.glob(f'{session}.*.xml'))) + 1}.xml"


def failed_tests(records: Path, session: str) -> list[str]:
    """A line for each test of a session that failed: its name, and the beginning of what it said."""
    lines = []
    for record in sorted(records.glob(f"{session}.*.xml")):
        try:
            cases = ElementTree.parse(record).iter("testcase")
        except ElementTree.ParseError as error:
            # Of a run that ended midway, or a full disk; the table is to come all the same.
            lines.append(f"{record.name} cannot be read: {error}")
        else:
            lines += [line for case in cases for line in problem_of(case)]
    return lines


def problem_of(case: ElementTree.Element) -> list[str]:
    """The line for a test, if it failed."""
    problem = next((found for kind in ("failure", "error") for found in case.iter(kind)), None)
    if problem is None:
        return []
    name = "::".join(filter(None, (case.get("file") or case.get("classname"), case.get("name"))))
    said = (problem.get("message") or "").strip().partition("\n")[0]
    if said.endswith(":") and problem.text:
        # A heading, of ansible-test; its findings follow.
        said = problem.text
    return [f"{name}: {textwrap.shorten(said, 200, placeholder=' …')}"]


def summary(results: list[dict], seconds: float, records: Path) -> str:
    """A line for each session, the tests that failed, and a last line that counts the sessions."""
    width = max(len(result["name"]) for result in results)
    lines = ["", f"{'check'.ljust(width)}  result       time"]
    for result in results:
        verdict = "failed" if failed(result) else {"success": "passed"}.get(result["result"], result["result"])
        duration = f"{result.get('duration', 0):6.0f} s"
        reason = f"  {result['reason']}" if result.get("reason") else ""
        lines.append(f"{result['name'].ljust(width)}  {verdict:9} {duration}{reason}")
    lines.append(f"{'all'.ljust(width)}  {'':9} {seconds:6.0f} s")
    for result in filter(failed, results):
        tests = failed_tests(records, result["name"])
        more = [f"... and {len(tests) - NAMED} more"] if len(tests) > NAMED else []
        lines += ["", *(f"{result['name']}: {test}" for test in [*tests[:NAMED], *more])] if tests else []
    bad = sum(map(failed, results))
    good = sum(result["result"] == "success" for result in results)
    return "\n".join([*lines, "", f"{good} passed, {bad} failed"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
