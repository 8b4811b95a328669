# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the measurements of the control node, each with a folder of its own. PRIVATE to the collection.

A measurement that is left out makes sizes smaller, which nobody sees before processes fail. So a file is never left out in silence: what lies
where a host's measurement is expected is one, or is told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, unquote

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.document import read_measurement
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import KIND

SCHEMA_VERSION = 1
# So many of a host are read for the peaks of its pods; each takes a millisecond or two.
LAST = 5
_CLUSTER_FILES = ("cluster_before.json", "cluster_after.json")
# What the playbook writes beside the hosts' files. A host may be called so as well.
_NOT_OF_HOSTS = ("run.json", "report.json")
_REMEDY = "Move the file out of the folder, or name the runs to use in kubegpu_measure_ids."


def find_runs(directory: str, ids: Sequence[str]) -> list[str]:
    """Directories of the runs to use, by name.

    :raises KubeGpuError: one is not there.
    """
    try:
        there = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    except OSError as error:
        # Without names a directory that is not there is one that nothing was measured into.
        nothing = isinstance(error, FileNotFoundError) and not ids
        facts = {"problems": [f"there is no measurement: {directory} is not there."]} if nothing else {}
        raise KubeGpuError(
            f"Reading the measurements in {directory} failed: {error.strerror}. Measure first.", path=directory, **facts
        ) from error
    missing = sorted(set(ids) - set(there))
    if missing:
        # A run that was interrupted at its start has a folder, and nothing that could be used.
        counts = {name: len(list(_host_files(os.path.join(directory, name)))) for name in there}
        offered = [f"{name} ({count} {'host' if count == 1 else 'hosts'})" for name, count in counts.items() if count]
        raise InputError(
            f"The measurements in {directory}",
            [f"there is no run {name!r}; there are {', '.join(offered) or 'none'}." for name in missing],
        )
    return [os.path.join(directory, name) for name in there if not ids or name in ids]


def read_runs(runs: Sequence[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(measurements by their file, cluster files of the runs in their order).

    :raises KubeGpuError: a file is not what it should be, with all that are not.
    """
    documents: dict[str, Any] = {}
    clusters: list[dict[str, Any]] = []
    problems: list[str] = []
    for run in runs:
        for path in _files_of(run):
            try:
                if os.path.basename(path) in _CLUSTER_FILES:
                    clusters.append(_read_as(path, schema_version=SCHEMA_VERSION))
                else:
                    documents.update(_read_host(path))
            except KubeGpuError as error:
                problems.append(f"{error.msg} {_REMEDY}")
    if problems:
        raise InputError("The measurements", problems)
    return documents, clusters


def read_last(directory: str | None, host: str) -> tuple[list[dict[str, Any]], list[str]]:
    """(a host's last measurements, the latest first; what is wrong with those of them that cannot be read).

    :param directory: None, or one that is not there: nothing was measured.
    """
    try:
        runs = sorted(os.listdir(directory), reverse=True) if directory else []
    except (FileNotFoundError, NotADirectoryError):
        runs = []
    except OSError as error:
        return [], [f"Reading {directory} failed: {error.strerror}."]
    paths = (os.path.join(str(directory), run, f"{quote(host, safe='')}.json") for run in runs)
    found: list[dict[str, Any]] = []
    problems: list[str] = []
    for number, path in enumerate(filter(_is_there, paths), start=1):
        try:
            found.append(read_measurement(path, _read(path)))
        except InputError as error:
            problems.append(" ".join(error.problems[:3]))
        except KubeGpuError as error:
            problems.append(error.msg)
        if number == LAST:
            break
    return found, problems


def _is_there(path: str) -> bool:
    """Also where it may not be looked at: that nothing is known of a file is not that there is none."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _files_of(run: str) -> Iterator[str]:
    for name in _CLUSTER_FILES:
        if os.path.exists(os.path.join(run, name)):
            yield os.path.join(run, name)
    yield from _host_files(run)
    for name in _NOT_OF_HOSTS:
        if os.path.exists(os.path.join(run, name)):
            yield os.path.join(run, name)


def _host_files(run: str) -> Iterator[str]:
    """Files that hosts' measurements are expected in. A name that begins with a dot is a file that is being written."""
    for name in sorted(os.listdir(run)):
        if name.endswith(".json") and not name.startswith(".") and name not in (*_CLUSTER_FILES, *_NOT_OF_HOSTS):
            yield os.path.join(run, name)


def _read_host(path: str) -> dict[str, dict[str, Any]]:
    """A host's measurement by its file; none if the file is one of those that lie beside them.

    :raises KubeGpuError: it is no measurement.
    """
    if os.path.basename(path) in _NOT_OF_HOSTS and _read(path).get("kind") != KIND:
        return {}
    document = _read_as(path, schema_version=SCHEMA_VERSION, kind=KIND)
    return {path: {**document, "host": document.get("host") or unquote(os.path.basename(path)[: -len(".json")])}}


def _read_as(path: str, **wanted: Any) -> dict[str, Any]:
    """A document with these words in it.

    :raises KubeGpuError: it is none.
    """
    document = _read(path)
    others = [f"its {word} is {document.get(word)!r}" for word, value in wanted.items() if document.get(word) != value]
    if others:
        raise KubeGpuError(f"{path} is not what belongs there: {', '.join(others)}.", path=path)
    return document


def _read(path: str) -> dict[str, Any]:
    """A JSON document.

    :raises KubeGpuError: it is none.
    """
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise KubeGpuError(f"Reading {path} failed: {error.strerror}.", path=path) from error
    except ValueError as error:
        raise KubeGpuError(f"Reading {path} failed: it is not JSON ({error}).", path=path) from error
    if not isinstance(document, dict):
        raise KubeGpuError(f"{path} is not what belongs there: it is no mapping.", path=path)
    return document
