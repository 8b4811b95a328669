# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The C structures against those of the genuine nvidia-ml-py, member by member."""

from __future__ import annotations

import ctypes
import json
import subprocess
from pathlib import Path
from typing import Any

import pynvml
import pytest

from simulator.nvml import build

# C type: nvidia-ml-py's class, and the members it calls otherwise than the C interface does.
STRUCTURES: dict[str, tuple[Any, dict[str, str]]] = {
    "nvmlPciInfo_t": (pynvml.nvmlPciInfo_t, {}),
    "nvmlMemory_t": (pynvml.c_nvmlMemory_t, {}),
    "nvmlMemory_v2_t": (pynvml.c_nvmlMemory_v2_t, {}),
    "nvmlBAR1Memory_t": (pynvml.c_nvmlBAR1Memory_t, {}),
    "nvmlProcessInfo_v2_t": (pynvml.c_nvmlProcessInfo_v2_t, {}),
    "nvmlProcessDetail_v1_t": (pynvml.c_nvmlProcessDetail_v1_t, {}),
    "nvmlProcessDetailList_v1_t": (pynvml.c_nvmlProcessDetailList_v1_t, {}),
    "nvmlProcessUtilizationSample_t": (pynvml.c_nvmlProcessUtilizationSample_t, {}),
    "nvmlUtilization_t": (pynvml.c_nvmlUtilization_t, {}),
    "nvmlEccErrorCounts_t": (pynvml.c_nvmlEccErrorCounts_t, {}),
    "nvmlTemperature_v1_t": (pynvml.c_nvmlTemperature_v1_t, {}),
    "nvmlViolationTime_t": (pynvml.c_nvmlViolationTime_t, {}),
    "nvmlFieldValue_t": (pynvml.c_nvmlFieldValue_t, {}),
    "nvmlValue_t": (pynvml.c_nvmlValue_t, {}),
    "nvmlGpuInstancePlacement_t": (pynvml.c_nvmlGpuInstancePlacement_t, {}),
    "nvmlGpuInstanceProfileInfo_t": (pynvml.c_nvmlGpuInstanceProfileInfo_t, {}),
    "nvmlGpuInstanceProfileInfo_v2_t": (pynvml.c_nvmlGpuInstanceProfileInfo_v2_t, {}),
    "nvmlGpuInstanceInfo_t": (pynvml.c_nvmlGpuInstanceInfo_t, {}),
    "nvmlComputeInstancePlacement_t": (pynvml.c_nvmlComputeInstancePlacement_t, {}),
    "nvmlComputeInstanceProfileInfo_t": (pynvml.c_nvmlComputeInstanceProfileInfo_t, {}),
    "nvmlComputeInstanceProfileInfo_v2_t": (pynvml.c_nvmlComputeInstanceProfileInfo_v2_t, {}),
    "nvmlComputeInstanceInfo_t": (pynvml.c_nvmlComputeInstanceInfo_t, {}),
    "nvmlDeviceAttributes_t": (pynvml.c_nvmlDeviceAttributes, {}),
    "nvmlEventData_t": (pynvml.c_nvmlEventData_t, {}),
}
# nvidia-ml-py has none of these any more, or not yet.
SIZES = {
    "nvmlPciInfo_v1_t": 32,
    "nvmlPciInfo_v2_t": 52,
    "nvmlProcessInfo_v1_t": 16,
    "nvmlEventData_v1_t": 24,
    "nvmlGpuInstanceProfileInfo_v3_t": 152,
}
VERSIONS = {
    "nvmlMemory_v2_t, 2": pynvml.nvmlMemory_v2,
    "nvmlProcessDetailList_v1_t, 1": pynvml.nvmlProcessDetailList_v1,
    "nvmlTemperature_v1_t, 1": pynvml.nvmlTemperature_v1,
    "nvmlGpuInstanceProfileInfo_v2_t, 2": pynvml.nvmlGpuInstanceProfileInfo_v2,
    "nvmlGpuInstanceProfileInfo_v3_t, 3": 0x03000098,
    "nvmlComputeInstanceProfileInfo_v2_t, 2": pynvml.nvmlComputeInstanceProfileInfo_v2,
}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What the compiler makes of the header: sizes, offsets, versions and error numbers."""
    asked = [f"sizeof({name})" for name in (*STRUCTURES, *SIZES)]
    asked += [
        f"offsetof({name}, {renamed.get(member, member)})"
        for name, (python, renamed) in STRUCTURES.items()
        for member, _unused in python._fields_
    ]
    asked += [f"NVML_STRUCT_VERSION({arguments})" for arguments in VERSIONS]
    asked += [name for name in vars(pynvml) if name.startswith("NVML_ERROR_")]
    prints = "".join(f'    printf("{{\\"%s\\": %lu}}\\n", "{what}", (unsigned long)({what}));\n' for what in asked)
    directory = tmp_path_factory.mktemp("abi")
    source, program = directory / "abi.c", directory / "abi"
    source.write_text(
        f'#include <stddef.h>\n#include <stdio.h>\n#include "nvml_abi.h"\nint main(void) {{\n{prints}}}\n'
    )
    include = Path(build.__file__).parent
    subprocess.run(["gcc", "-Werror", f"-I{include}", "-o", str(program), str(source)], timeout=60, check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=10, check=True)
    return {key: value for line in done.stdout.splitlines() for key, value in json.loads(line).items()}


@pytest.mark.parametrize("name", STRUCTURES)
def test_structure_is_laid_out_as_clients_expect(name: str, layout: dict[str, int]) -> None:
    python, renamed = STRUCTURES[name]
    assert layout[f"sizeof({name})"] == ctypes.sizeof(python)
    expected = {member: getattr(python, member).offset for member, _unused in python._fields_}
    found = {member: layout[f"offsetof({name}, {renamed.get(member, member)})"] for member in expected}
    assert found == expected


@pytest.mark.parametrize("name", SIZES)
def test_structure_of_old_has_its_size(name: str, layout: dict[str, int]) -> None:
    assert layout[f"sizeof({name})"] == SIZES[name]


@pytest.mark.parametrize("arguments", VERSIONS)
def test_structure_version_is_the_published_one(arguments: str, layout: dict[str, int]) -> None:
    assert layout[f"NVML_STRUCT_VERSION({arguments})"] == VERSIONS[arguments]


def test_error_numbers_are_the_published_ones(layout: dict[str, int]) -> None:
    names = [name for name in vars(pynvml) if name.startswith("NVML_ERROR_")]
    assert {name: layout[name] for name in names} == {name: getattr(pynvml, name) for name in names}
