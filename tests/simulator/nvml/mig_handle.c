/* Handles of instances and MIG devices. Each id has its own for good: one that was created anew at the same place is reached by the
 * handle of the old one, as NVML reserves to itself ("handles may be reused and their properties can change"). */
#include "mig.h"

struct nvmlGpuInstance_st {
    char unused;
};

struct nvmlComputeInstance_st {
    char unused;
};

/* Laid out alike: GPU, then GPU instance, then compute instance. */
#define INSTANCES (MAX_GPUS * MAX_INSTANCES)
#define COMPUTES (INSTANCES * MAX_COMPUTE)

static struct nvmlGpuInstance_st gpu_instances[INSTANCES];
static struct nvmlComputeInstance_st compute_instances[COMPUTES];
static char mig_devices[COMPUTES];

static unsigned int position(const struct gpu *gpu, unsigned int instance) {
    return state_index(gpu) * MAX_INSTANCES + instance;
}

nvmlGpuInstance_t mig_gpu_instance_handle(const struct gpu *gpu, unsigned int instance) {
    return &gpu_instances[position(gpu, instance)];
}

nvmlComputeInstance_t mig_compute_instance_handle(const struct gpu *gpu, unsigned int instance, unsigned int compute) {
    return &compute_instances[position(gpu, instance) * MAX_COMPUTE + compute];
}

nvmlDevice_t mig_device_handle(const struct gpu *gpu, unsigned int instance, unsigned int compute) {
    return (nvmlDevice_t)(void *)&mig_devices[position(gpu, instance) * MAX_COMPUTE + compute];
}

static nvmlReturn_t admit_instance(const char *function, unsigned int number, struct device *device) {
    unsigned int index = number / MAX_INSTANCES;
    *device = (struct device){.gpu_instance_id = number % MAX_INSTANCES, .compute_instance_id = NVML_NO_INSTANCE};
    ADMIT(state_admit_index(function, index));
    device->gpu = &state_current()->gpus[index];
    device->instance = &device->gpu->instances[device->gpu_instance_id];
    REQUIRE(device->gpu->mig_mode && device->instance->exists);
    return NVML_SUCCESS;
}

static nvmlReturn_t admit_compute(const char *function, unsigned int number, struct device *device) {
    ADMIT(admit_instance(function, number / MAX_COMPUTE, device));
    device->compute_instance_id = number % MAX_COMPUTE;
    device->compute = &device->instance->compute[device->compute_instance_id];
    REQUIRE(device->compute->exists);
    return NVML_SUCCESS;
}

bool mig_is_device(nvmlDevice_t handle) {
    const char *address = (const char *)handle;
    return address >= mig_devices && address < mig_devices + COMPUTES;
}

nvmlReturn_t mig_admit_device(const char *function, nvmlDevice_t handle, struct device *device) {
    return admit_compute(function, (unsigned int)((const char *)handle - mig_devices), device);
}

nvmlReturn_t mig_admit_gpu_instance(const char *function, nvmlGpuInstance_t handle, struct device *device) {
    REQUIRE(handle >= gpu_instances && handle < gpu_instances + INSTANCES);
    return admit_instance(function, (unsigned int)(handle - gpu_instances), device);
}

nvmlReturn_t mig_admit_compute_instance(const char *function, nvmlComputeInstance_t handle, struct device *device) {
    REQUIRE(handle >= compute_instances && handle < compute_instances + COMPUTES);
    return admit_compute(function, (unsigned int)(handle - compute_instances), device);
}
