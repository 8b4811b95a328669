/* MIG devices: a compute instance as a device of its own. What NVML answers for GPUs and MIG devices alike is where the GPUs' is. */
#include "mig.h"

/* Those that there are, by ids, numbered without gaps: assumed. */
NVML_API nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *mig) {
    ENTER_GPU(device);
    if (!gpu->mig_capable)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    REQUIRE(mig && index < gpu->mig_max_devices);
    for (unsigned int i = 0; gpu->mig_mode && i < MAX_INSTANCES * MAX_COMPUTE; i++) {
        const struct gpu_instance *instance = &gpu->instances[i / MAX_COMPUTE];
        if (!instance->exists || !instance->compute[i % MAX_COMPUTE].exists || index-- > 0)
            continue;
        *mig = mig_device_handle(gpu, i / MAX_COMPUTE, i % MAX_COMPUTE);
        return NVML_SUCCESS;
    }
    return refuse(NVML_ERROR_NOT_FOUND);
}

NVML_API nvmlReturn_t nvmlDeviceIsMigDeviceHandle(nvmlDevice_t device, unsigned int *is_mig) {
    ENTER_DEVICE(device);
    REQUIRE(is_mig);
    *is_mig = target->compute != NULL;
    return NVML_SUCCESS;
}

/* The handle of a whole GPU is no MIG device, and these ask about one. */
#define OF_A_MIG_DEVICE(function, type, answer)                             \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, type *value) {      \
        ENTER_DEVICE(device);                                               \
        REQUIRE(value);                                                     \
        if (!target->compute)                                               \
            return refuse(NVML_ERROR_NOT_SUPPORTED);                        \
        *value = answer;                                                    \
        return NVML_SUCCESS;                                                \
    }

static nvmlDeviceAttributes_t attributes(const struct device *device) {
    const struct profile *profile = mig_profile_of(device->gpu, device->instance);
    return (nvmlDeviceAttributes_t){.multiprocessorCount = profile->multiprocessors * device->compute->slices / profile->slices,
                                    .sharedCopyEngineCount = profile->copy_engines,
                                    .sharedDecoderCount = profile->decoders,
                                    .sharedJpegCount = profile->jpeg,
                                    .sharedOfaCount = profile->ofa,
                                    .gpuInstanceSliceCount = profile->slices,
                                    .computeInstanceSliceCount = device->compute->slices,
                                    .memorySizeMB = profile->memory_mib};
}

OF_A_MIG_DEVICE(nvmlDeviceGetGpuInstanceId, unsigned int, target->gpu_instance_id)
OF_A_MIG_DEVICE(nvmlDeviceGetComputeInstanceId, unsigned int, target->compute_instance_id)
OF_A_MIG_DEVICE(nvmlDeviceGetDeviceHandleFromMigDeviceHandle, nvmlDevice_t, gpu_handle(target->gpu))
OF_A_MIG_DEVICE(nvmlDeviceGetAttributes_v2, nvmlDeviceAttributes_t, attributes(target))
