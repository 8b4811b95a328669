/* GPU instances: created, destroyed, listed. */
#include "mig.h"

/* MIG has to be on, now. */
static nvmlReturn_t require_mig(const struct state *state, const struct gpu *gpu) {
    if (!gpu->mig_capable || !gpu->mig_mode)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    REQUIRE_ROOT();
    return NVML_SUCCESS;
}

static nvmlReturn_t create(struct gpu *gpu, const struct profile *profile, unsigned int start, nvmlGpuInstance_t *handle) {
    unsigned int id = mig_instance_id(gpu, profile, start);
    gpu->instances[id] = (struct gpu_instance){.exists = true, .profile = (unsigned int)(profile - gpu->profiles), .start = start};
    *handle = mig_gpu_instance_handle(gpu, id);
    return mig_write();
}

/* The driver chooses: the last place that is free, which keeps the first ones for the largest. Which one a real driver takes is
 * assumed; that the order of creation decides what still fits is not. */
NVML_API nvmlReturn_t nvmlDeviceCreateGpuInstance(nvmlDevice_t device, unsigned int id, nvmlGpuInstance_t *instance) {
    ENTER_CHANGE();
    const struct gpu *gpu;
    ADMIT(state_admit_gpu(__func__, device, &gpu));
    ADMIT(require_mig(state, gpu));
    const struct profile *profile = mig_profile_by_id(gpu, id);
    REQUIRE(profile && instance);
    for (unsigned int i = profile->placement_count; i > 0; i--)
        if (mig_fits(gpu, profile, profile->starts[i - 1]))
            return create(&state_current()->gpus[state_index(gpu)], profile, profile->starts[i - 1], instance);
    return refuse(NVML_ERROR_INSUFFICIENT_RESOURCES);
}

static bool is_placement(const struct profile *profile, const nvmlGpuInstancePlacement_t *placement) {
    for (unsigned int i = 0; i < profile->placement_count; i++)
        if (profile->starts[i] == placement->start)
            return profile->placement_size == placement->size;
    return false;
}

/* A place that is none of the profile's is an invalid argument, one that is taken a lack of resources. */
NVML_API nvmlReturn_t nvmlDeviceCreateGpuInstanceWithPlacement(nvmlDevice_t device, unsigned int id,
                                                               const nvmlGpuInstancePlacement_t *placement,
                                                               nvmlGpuInstance_t *instance) {
    ENTER_CHANGE();
    const struct gpu *gpu;
    ADMIT(state_admit_gpu(__func__, device, &gpu));
    ADMIT(require_mig(state, gpu));
    const struct profile *profile = mig_profile_by_id(gpu, id);
    REQUIRE(profile && placement && instance && is_placement(profile, placement));
    if (!mig_fits(gpu, profile, placement->start))
        return refuse(NVML_ERROR_INSUFFICIENT_RESOURCES);
    return create(&state_current()->gpus[state_index(gpu)], profile, placement->start, instance);
}

NVML_API nvmlReturn_t nvmlGpuInstanceDestroy(nvmlGpuInstance_t instance) {
    ENTER_CHANGE();
    struct device of;
    ADMIT(mig_admit_gpu_instance(__func__, instance, &of));
    REQUIRE_ROOT();
    for (unsigned int i = 0; i < MAX_COMPUTE; i++)
        if (of.instance->compute[i].exists)
            return refuse(NVML_ERROR_IN_USE);
    if (mig_busy(of.gpu, of.gpu_instance_id, NVML_NO_INSTANCE))
        return refuse(NVML_ERROR_IN_USE);
    state_current()->gpus[state_index(of.gpu)].instances[of.gpu_instance_id] = (struct gpu_instance){0};
    return mig_write();
}

/* The caller's buffer is trusted to hold as many as the profile allows. */
NVML_API nvmlReturn_t nvmlDeviceGetGpuInstances(nvmlDevice_t device, unsigned int id, nvmlGpuInstance_t *instances,
                                                unsigned int *count) {
    ENTER_GPU(device);
    ADMIT(require_mig(state, gpu));
    const struct profile *profile = mig_profile_by_id(gpu, id);
    REQUIRE(profile && instances && count);
    *count = 0;
    for (unsigned int i = 0; i < MAX_INSTANCES; i++)
        if (gpu->instances[i].exists && mig_profile_of(gpu, &gpu->instances[i]) == profile)
            instances[(*count)++] = mig_gpu_instance_handle(gpu, i);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceById(nvmlDevice_t device, unsigned int id, nvmlGpuInstance_t *instance) {
    ENTER_GPU(device);
    ADMIT(require_mig(state, gpu));
    REQUIRE(instance);
    if (id >= MAX_INSTANCES || !gpu->instances[id].exists)
        return refuse(NVML_ERROR_NOT_FOUND);
    *instance = mig_gpu_instance_handle(gpu, id);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlGpuInstanceGetInfo(nvmlGpuInstance_t instance, nvmlGpuInstanceInfo_t *info) {
    ENTER_GPU_INSTANCE(instance);
    REQUIRE(info);
    const struct profile *profile = mig_profile_of(of.gpu, of.instance);
    *info = (nvmlGpuInstanceInfo_t){.device = gpu_handle(of.gpu),
                                    .id = of.gpu_instance_id,
                                    .profileId = profile->id,
                                    .placement = {.start = of.instance->start, .size = profile->placement_size}};
    return NVML_SUCCESS;
}
