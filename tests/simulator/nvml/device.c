/* Which GPUs there are, handles to them, and what they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mig.h"

NVML_API nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) {
    ENTER();
    REQUIRE(count);
    *count = state->gpu_count; /* lost ones count: only their handles are refused */
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetCount(unsigned int *count) {
    return nvmlDeviceGetCount_v2(count);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    ENTER();
    REQUIRE(device && index < state->gpu_count);
    return state_handle(__func__, index, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByIndex(unsigned int index, nvmlDevice_t *device) {
    return nvmlDeviceGetHandleByIndex_v2(index, device);
}

/* Looking for a UUID or serial number means asking GPU after GPU, so a lost one ahead of the one wanted ends the search. */
static nvmlReturn_t find(const char *function, const struct state *state, size_t offset, const char *wanted, nvmlDevice_t *device) {
    for (unsigned int i = 0; i < state->gpu_count; i++) {
        nvmlDevice_t found;
        ADMIT(state_handle(function, i, &found));
        if (strcasecmp((const char *)&state->gpus[i] + offset, wanted) == 0) {
            *device = found;
            return NVML_SUCCESS;
        }
    }
    return refuse(NVML_ERROR_NOT_FOUND);
}

static bool has_uuid(const struct state *state, struct device *device, const char *uuid) {
    char mine[UUID_SIZE];
    device->instance = &device->gpu->instances[device->gpu_instance_id];
    device->compute = &device->instance->compute[device->compute_instance_id];
    if (!device->gpu->mig_mode || !device->instance->exists || !device->compute->exists)
        return false;
    mig_uuid(state, device, mine, sizeof mine);
    return strcasecmp(mine, uuid) == 0;
}

static nvmlReturn_t find_mig(const char *function, const struct state *state, const char *uuid, nvmlDevice_t *device) {
    for (unsigned int i = 0; i < state->gpu_count; i++) {
        ADMIT(state_admit_index(function, i));
        for (unsigned int j = 0; j < MAX_INSTANCES * MAX_COMPUTE; j++) {
            struct device at = {.gpu = &state->gpus[i], .gpu_instance_id = j / MAX_COMPUTE, .compute_instance_id = j % MAX_COMPUTE};
            if (!has_uuid(state, &at, uuid))
                continue;
            *device = mig_device_handle(at.gpu, at.gpu_instance_id, at.compute_instance_id);
            return NVML_SUCCESS;
        }
    }
    return refuse(NVML_ERROR_NOT_FOUND);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
    ENTER();
    REQUIRE(uuid && device);
    if (strncasecmp(uuid, "MIG-", 4) == 0)
        return find_mig(__func__, state, uuid, device);
    return find(__func__, state, offsetof(struct gpu, uuid), uuid, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleBySerial(const char *serial, nvmlDevice_t *device) {
    ENTER();
    REQUIRE(serial && device);
    return find(__func__, state, offsetof(struct gpu, serial), serial, device);
}

/* Any way of writing a bus id will do: 0000:10:00.0, 00000000:10:00.0, and without a domain 10:00.0. */
NVML_API nvmlReturn_t nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, nvmlDevice_t *device) {
    ENTER();
    REQUIRE(bus_id && device);
    unsigned int domain = 0, bus, slot;
    if (sscanf(bus_id, "%x:%x:%x", &domain, &bus, &slot) != 3) {
        domain = 0;
        REQUIRE(sscanf(bus_id, "%x:%x", &bus, &slot) == 2);
    }
    for (unsigned int i = 0; i < state->gpu_count; i++) {
        const struct gpu *gpu = &state->gpus[i];
        if (gpu->domain == domain && gpu->bus == bus && gpu->device == slot)
            return state_handle(__func__, i, device);
    }
    return refuse(NVML_ERROR_NOT_FOUND);
}

NVML_API nvmlReturn_t nvmlDeviceGetHandleByPciBusId(const char *bus_id, nvmlDevice_t *device) {
    return nvmlDeviceGetHandleByPciBusId_v2(bus_id, device);
}

NVML_API nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length) {
    ENTER_DEVICE(device);
    char mig[192];
    if (target->compute)
        mig_name(target, mig, sizeof mig);
    return copy_string(target->compute ? mig : target->gpu->name, name, length);
}

NVML_API nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length) {
    ENTER_DEVICE(device);
    char mig[UUID_SIZE];
    if (target->compute)
        mig_uuid(state, target, mig, sizeof mig);
    return copy_string(target->compute ? mig : target->gpu->uuid, uuid, length);
}

GPU_STRING(nvmlDeviceGetSerial, serial)

GPU_NUMBER(nvmlDeviceGetIndex, unsigned int, state_index(gpu))
GPU_NUMBER(nvmlDeviceGetMinorNumber, unsigned int, gpu->minor_number)
GPU_NUMBER(nvmlDeviceGetBrand, unsigned int, gpu->brand)
GPU_NUMBER(nvmlDeviceGetArchitecture, unsigned int, gpu->architecture)
GPU_NUMBER(nvmlDeviceGetNumGpuCores, unsigned int, gpu->cores)
GPU_NUMBER(nvmlDeviceGetBoardId, unsigned int, gpu->bus << 8)
GPU_NUMBER(nvmlDeviceGetMultiGpuBoard, unsigned int, 0)
GPU_NUMBER(nvmlDeviceGetMemoryBusWidth, unsigned int, gpu->bus_width)
GPU_NUMBER(nvmlDeviceGetBusType, unsigned int, 2) /* NVML_BUS_TYPE_PCIE */
GPU_NUMBER(nvmlDeviceGetPersistenceMode, nvmlEnableState_t, gpu->persistence_mode)
GPU_NUMBER(nvmlDeviceGetComputeMode, unsigned int, gpu->compute_mode)
GPU_NUMBER(nvmlDeviceGetDisplayMode, nvmlEnableState_t, 0)
GPU_NUMBER(nvmlDeviceGetDisplayActive, nvmlEnableState_t, 0)
GPU_NUMBER(nvmlDeviceGetAccountingMode, nvmlEnableState_t, 0)
/* NVML_GPU_VIRTUALIZATION_MODE_PASSTHROUGH, where the machine is a virtual one that was given its GPUs; else none. */
GPU_NUMBER(nvmlDeviceGetVirtualizationMode, unsigned int, state->passthrough)

NVML_API nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor) {
    ENTER_GPU(device);
    REQUIRE(major && minor);
    *major = (int)gpu->compute_major;
    *minor = (int)gpu->compute_minor;
    return NVML_SUCCESS;
}

static void describe_pci(const struct gpu *gpu, nvmlPciInfo_t *pci) {
    *pci = (nvmlPciInfo_t){.domain = gpu->domain,
                           .bus = gpu->bus,
                           .device = gpu->device,
                           .pciDeviceId = gpu->pci_device_id,
                           .pciSubSystemId = gpu->pci_subsystem_id};
    snprintf(pci->busId, sizeof pci->busId, "%s", gpu->bus_id);
    snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "%04X:%02X:%02X.0", gpu->domain & 0xFFFF, gpu->bus & 0xFF,
             gpu->device & 0x1F);
}

static nvmlPciInfo_v1_t first_version(const nvmlPciInfo_t *full) {
    nvmlPciInfo_v1_t pci = {.domain = full->domain, .bus = full->bus, .device = full->device, .pciDeviceId = full->pciDeviceId};
    memcpy(pci.busId, full->busIdLegacy, sizeof pci.busId);
    return pci;
}

NVML_API nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci) {
    ENTER_GPU(device);
    REQUIRE(pci);
    describe_pci(gpu, pci);
    return NVML_SUCCESS;
}

/* The older layouts end sooner: clients of those days own no more memory than that. */
NVML_API nvmlReturn_t nvmlDeviceGetPciInfo_v2(nvmlDevice_t device, nvmlPciInfo_v2_t *pci) {
    ENTER_GPU(device);
    REQUIRE(pci);
    nvmlPciInfo_t full;
    describe_pci(gpu, &full);
    *pci = (nvmlPciInfo_v2_t){.v1 = first_version(&full), .pciSubSystemId = full.pciSubSystemId};
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetPciInfo(nvmlDevice_t device, nvmlPciInfo_v1_t *pci) {
    ENTER_GPU(device);
    REQUIRE(pci);
    nvmlPciInfo_t full;
    describe_pci(gpu, &full);
    *pci = first_version(&full);
    return NVML_SUCCESS;
}
