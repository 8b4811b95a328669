# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that takes GPU memory by the driver alone (libcuda, no framework), and keeps it until its input ends.

    python cuda_user.py MIB [LIBRARY]

It prints one line: "ready GPU-UUID", or "none REASON" where there is nothing to take memory from. It needs nothing of this
repository, for it runs as a process of its own.
"""

from __future__ import annotations

import ctypes
import sys
import uuid

LIBRARY = "libcuda.so.1"
NO_DEVICE = 100


class CudaError(Exception):
    """A call of the driver failed."""

    def __init__(self, call: str, code: int) -> None:
        super().__init__(f"{call} answers CUDA error {code}")
        self.code = code


class Cuda:
    """The calls of libcuda that it takes."""

    def __init__(self, library: str) -> None:
        self._library = ctypes.CDLL(library)
        self._call("cuInit", ctypes.c_uint(0))

    def _call(self, name: str, *args: object) -> None:
        code = getattr(self._library, name)(*args)
        if code:
            raise CudaError(name, code)

    def take(self, size: int) -> str:
        """Take bytes of the first device.

        :returns: the device's UUID, as NVML spells it: of a MIG device its own.
        """
        count, device, context = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGetCount", ctypes.byref(count))
        if not count.value:
            raise CudaError("cuDeviceGetCount", NO_DEVICE)
        self._call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._call("cuCtxSetCurrent", context)
        self._call("cuMemAlloc_v2", ctypes.byref(ctypes.c_uint64()), ctypes.c_size_t(size))
        identity = (ctypes.c_ubyte * 16)()
        self._call("cuDeviceGetUuid_v2", identity, device)
        return str(uuid.UUID(bytes=bytes(identity)))


def main(mib: str, library: str = LIBRARY) -> None:
    """Take memory, say so, and wait."""
    try:
        told = f"ready {Cuda(library).take(int(mib) * 1024 * 1024)}"
    except (OSError, CudaError, AttributeError) as error:
        # AttributeError: a driver so old that it lacks one of the calls
        told = f"none {error}"
    print(told, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
