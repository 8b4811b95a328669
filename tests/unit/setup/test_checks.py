# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The copy of the collection that tools get, the tarball's contents, and the table at the end."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from setup import checks, staging


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with a tracked, an untracked and an ignored file."""
    root = tmp_path / "checkout"
    (root / ".venv/collections/ansible_collections/kubernetes/core").mkdir(parents=True)
    (root / "plugins").mkdir()
    for name, content in {
        "tracked": "1",
        "plugins/new.py": "2",
        "ignored.pyc": "3",
        ".gitignore": "*.pyc\n.venv\n",
    }.items():
        (root / name).write_text(content, encoding="utf-8")
    subprocess.run([*staging.GIT, "init", "--quiet"], cwd=root, check=True)
    subprocess.run([*staging.GIT, "add", "tracked"], cwd=root, check=True)
    return root


def test_stage_copies_what_git_would_commit(checkout: Path, tmp_path: Path) -> None:
    staged = staging.stage(checkout, tmp_path / "staged")
    assert staged == tmp_path / "staged/ansible_collections/kubegpu/sharing"
    found = {path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file()}
    assert found == {"tracked", "plugins/new.py", ".gitignore"}


def test_stage_again_removes_what_is_gone_and_leaves_the_rest_untouched(checkout: Path, tmp_path: Path) -> None:
    staged = staging.stage(checkout, tmp_path / "staged")
    before = (staged / "tracked").stat().st_mtime_ns
    (checkout / "plugins/new.py").unlink()
    staging.stage(checkout, tmp_path / "staged")
    assert not (staged / "plugins").exists()
    assert (staged / "tracked").stat().st_mtime_ns == before


def test_tarball_problems_name_unwanted_files(tmp_path: Path) -> None:
    tarball = tmp_path / "a.tar.gz"
    with tarfile.open(tarball, "w:gz") as archive:
        for name in ("plugins/modules/a.py", "plugins/__pycache__/a.py", "tests/simulator/libnvidia-ml.so"):
            archive.addfile(tarfile.TarInfo(name))
    problems = staging.tarball_problems(tarball)
    assert len(problems) == 2
    assert "plugins/__pycache__/a.py: add it to build_ignore" in problems[0]


def test_pip_configuration_carries_variables_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://one.example/simple https://two.example/simple")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    lines = staging.pip_configuration(Path(sys.executable)).splitlines()
    assert lines[0] == "[global]"
    assert "extra-index-url = https://one.example/simple https://two.example/simple" in lines
    assert "proxy = http://proxy.example:3128" in lines


def test_summary_counts_sessions_alone_on_the_last_line(tmp_path: Path) -> None:
    results = [
        {"name": "lint", "result": "success", "duration": 3.2},
        {"name": "units", "result": "failed", "duration": 60.0},
        {"name": "node_floor", "result": "skipped", "duration": 0.0, "reason": "no Python 3.8"},
    ]
    lines = checks.summary(results, 63.4, tmp_path).splitlines()
    assert lines[-1] == "1 passed, 1 failed"
    assert any("node_floor" in line and "skipped" in line and "no Python 3.8" in line for line in lines)


def test_summary_names_the_tests_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.fixture\n"
        "def broken(): raise OSError('no disk')\n"
        "def test_good(): pass\n"
        "def test_setup(broken): pass\n"
        "@pytest.mark.parametrize('n', range(20))\n"
        "def test_bad(n): raise ValueError(f'number {n}\\nand more')\n",
        encoding="utf-8",
    )
    records = tmp_path / "records"
    monkeypatch.setattr(checks, "RECORDS", records)
    for choice in ("setup or good", "bad"):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
        subprocess.run(
            [*command, *checks.recording("units"), "-k", choice], cwd=tmp_path, check=False, capture_output=True
        )
    results = [
        {"name": "lint", "result": "failed", "duration": 3.2},
        {"name": "units", "result": "failed", "duration": 60.0},
    ]
    lines = checks.summary(results, 63.4, records).splitlines()
    told = [line for line in lines if line.startswith("units: ")]
    assert told[0].startswith("units: test_it.py::test_setup: ")
    assert "OSError: no disk" in told[0]
    assert told[1] == "units: test_it.py::test_bad[0]: ValueError: number 0"
    assert told[-1] == f"units: ... and {21 - checks.NAMED} more"
    assert not any("test_good" in line for line in lines)
    assert lines[-1] == "0 passed, 2 failed"


def test_summary_tells_what_ansible_test_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tmp_path / "junit"
    found.mkdir()
    (found / "ansible-test-sanity-shebang.xml").write_text(
        '<testsuites><testsuite><testcase classname="sanity" name="shebang"/></testsuite></testsuites>',
        encoding="utf-8",
    )
    (found / "ansible-test-sanity-pylint.xml").write_text(
        '<testsuites><testsuite><testcase classname="sanity" name="pylint">'
        '<failure message="The test `ansible-test sanity --test pylint` failed with 2 errors:" type="failure">'
        "a.py:6:0: unused-import: Unused Context\nb.py:7:0: unused-variable: Unused node</failure>"
        "</testcase></testsuite></testsuites>",
        encoding="utf-8",
    )
    records = tmp_path / "records"
    monkeypatch.setattr(checks, "RECORDS", records)
    checks.keep("sanity", found)
    lines = checks.summary([{"name": "sanity", "result": "failed", "duration": 285.0}], 300.0, records).splitlines()
    assert [line for line in lines if line.startswith("sanity: ")] == [
        "sanity: sanity::pylint: a.py:6:0: unused-import: Unused Context b.py:7:0: unused-variable: Unused node"
    ]


def test_record_that_was_cut_off_does_not_cost_the_summary(tmp_path: Path) -> None:
    (tmp_path / "units.1.xml").write_text("<testsuites><testsu", encoding="utf-8")
    lines = checks.summary([{"name": "units", "result": "failed", "duration": 1.0}], 1.0, tmp_path).splitlines()
    assert any(line.startswith("units: units.1.xml cannot be read: ") for line in lines)
    assert lines[-1] == "0 passed, 1 failed"
