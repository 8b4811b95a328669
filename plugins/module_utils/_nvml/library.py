# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading libnvidia-ml.so.1 and the pynvml that drives it. PRIVATE to the collection.

pynvml always loads the library by its soname. A library from another place is loaded first, by path: the loader then answers
the soname with what it has already, provided that the file bears that soname. This is verified, never assumed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import warnings
from types import ModuleType
from typing import Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError

SONAME = "libnvidia-ml.so.1"

# Each came with a release of nvidia-ml-py later than the one before; all of them are in 12.550.52 and later.
_NEEDED = (
    "nvmlInitWithFlags",
    "nvmlDeviceGetArchitecture",
    "nvmlDeviceGetComputeRunningProcesses_v2",
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetMPSComputeRunningProcesses_v3",
    "c_nvmlProcessInfo_v2_t",
    "c_nvmlGpuInstanceProfileInfo_v2_t",
    "nvmlMemory_v2",
)
# nvmlProcessInfo_t of nvml.h. Release 12.535.77 declared it larger, and reads rubbish.
_PROCESS_INFO_BYTES = 24


class PynvmlUnusableError(KubeGpuError):
    """The node has no pynvml, or one too old. ``pynvml_problem`` tells the action plugin to bring its own."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"Reading GPUs through NVML needs the Python module pynvml on the node: {problem}. Call the module as "
            "kubegpu.sharing.gpu_info, whose action plugin brings the control node's copy, or install nvidia-ml-py on the node.",
            pynvml_problem=problem,
        )


def preload_library(path: Optional[str]) -> ctypes.CDLL:
    """Load the library.

    :param path: the file to use, or None for whatever the loader finds.
    :raises OSError: in the loader's words, if there is none or it cannot be loaded.
    """
    # RTLD_GLOBAL, as the loader would have done for a library that a program was linked with
    return ctypes.CDLL(path or SONAME, mode=ctypes.RTLD_GLOBAL)


def import_pynvml(path: Optional[str] = None) -> ModuleType:
    """The module pynvml, checked to be recent enough.

    :param path: file to import instead of what the node has installed.
    :raises PynvmlUnusableError: it is missing or too old.
    """
    with warnings.catch_warnings():
        # the package named pynvml redirects to nvidia-ml-py and warns about itself
        warnings.simplefilter("ignore")
        module = _import_file(path) if path else _import_installed()
    missing = [name for name in _NEEDED if not hasattr(module, name)]
    if missing:
        raise PynvmlUnusableError(f"{module.__file__} is too old, it lacks {', '.join(missing)}")
    if ctypes.sizeof(module.c_nvmlProcessInfo_v2_t) != _PROCESS_INFO_BYTES:
        raise PynvmlUnusableError(
            f"{module.__file__} declares nvmlProcessInfo_t with a wrong size (nvidia-ml-py 12.535.77 did)"
        )
    return module


def _import_installed() -> ModuleType:
    try:
        import pynvml
    except ImportError as error:
        raise PynvmlUnusableError(f"{sys.executable} answers: {error}") from error
    return pynvml


def _import_file(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("pynvml", path)
    if spec is None or spec.loader is None or not os.path.isfile(path):
        raise KubeGpuError(
            f"pynvml_path {path} is not a Python file on this node. Give the path of a pynvml.py, or leave the option out."
        )
    module = importlib.util.module_from_spec(spec)
    # pynvml makes its exception classes by looking itself up here
    sys.modules["pynvml"] = module
    spec.loader.exec_module(module)
    return module


def verify_library(pynvml: ModuleType, preloaded: ctypes.CDLL, path: Optional[str]) -> None:
    """Make sure that pynvml uses the library that was asked for.

    :raises KubeGpuError: pynvml's library is another one, because the file asked for has a different soname.
    """
    # The loader hands out one handle per loaded file, so equal handles are the same file.
    if path is None or (pynvml.nvmlLib is not None and pynvml.nvmlLib._handle == preloaded._handle):
        return
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        others = [name for name in mapped_libraries(maps.read()) if name != os.path.realpath(path)]
    raise KubeGpuError(
        f"nvml_library {path} was loaded, but pynvml found {', '.join(others) or 'none'}: the soname of {path} is not "
        f"{SONAME}. Name the file that the driver installed (see readelf -d {path}), not a stub or a renamed copy.",
        nvml_library=path,
    )


def mapped_libraries(maps: str) -> list[str]:
    """Files named libnvidia-ml* in the text of ``/proc/<pid>/maps``, each once."""
    paths = (line.split(None, 5)[5] for line in maps.splitlines() if len(line.split(None, 5)) == 6)
    return sorted({path for path in paths if os.path.basename(path).startswith("libnvidia-ml")})
