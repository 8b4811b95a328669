# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pynvml is good enough, and which library is mapped."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.library import (
    PynvmlUnusableError,
    import_pynvml,
    mapped_libraries,
)

pytestmark = pytest.mark.node_side


@pytest.fixture(autouse=True)
def _own_pynvml(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test imports as pynvml is gone after it."""
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", sys)


NAMES = """
import ctypes
def nvmlInitWithFlags(flags): pass
nvmlDeviceGetArchitecture = nvmlDeviceGetComputeRunningProcesses_v2 = nvmlInitWithFlags
nvmlDeviceGetComputeRunningProcesses_v3 = nvmlDeviceGetMPSComputeRunningProcesses_v3 = nvmlInitWithFlags
c_nvmlGpuInstanceProfileInfo_v2_t = object
nvmlMemory_v2 = 33554472
"""


def test_import_pynvml_old_one_names_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "pynvml.py"
    path.write_text("nvmlInitWithFlags = None\n", encoding="utf-8")
    with pytest.raises(PynvmlUnusableError) as caught:
        import_pynvml(str(path))
    assert f"{path} is too old, it lacks nvmlDeviceGetArchitecture, " in caught.value.msg
    assert caught.value.facts["pynvml_problem"].startswith(f"{path} is too old")


@pytest.mark.parametrize(
    ("extra", "usable"), [("", True), (", ('usedGpuCcProtectedMemory', ctypes.c_ulonglong)", False)]
)
def test_import_pynvml_refuses_the_release_with_a_wrong_structure(tmp_path: Path, extra: str, usable: bool) -> None:
    fields = "('pid', ctypes.c_uint), ('used', ctypes.c_ulonglong), ('gi', ctypes.c_uint), ('ci', ctypes.c_uint)"
    path = tmp_path / "pynvml.py"
    path.write_text(
        f"{NAMES}\nclass c_nvmlProcessInfo_v2_t(ctypes.Structure):\n    _fields_ = [{fields}{extra}]\n",
        encoding="utf-8",
    )
    if usable:
        assert import_pynvml(str(path)).__name__ == "pynvml"
        return
    with pytest.raises(PynvmlUnusableError, match="declares nvmlProcessInfo_t with a wrong size"):
        import_pynvml(str(path))


def test_import_pynvml_path_without_file_is_an_error_of_the_option(tmp_path: Path) -> None:
    with pytest.raises(KubeGpuError, match=r"pynvml_path .*missing\.py is not a Python file on this node"):
        import_pynvml(str(tmp_path / "missing.py"))


def test_mapped_libraries_lists_each_file_once() -> None:
    maps = (
        "7f00-7f10 r-xp 00000000 fd:00 12 /usr/lib/libc.so.6\n"
        "7f10-7f20 r--p 00000000 fd:00 13 /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.570.158.01\n"
        "7f20-7f30 r-xp 00000000 fd:00 13 /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.570.158.01\n"
        "7f30-7f40 rw-p 00000000 00:00 0\n"
    )
    assert mapped_libraries(maps) == ["/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.570.158.01"]
