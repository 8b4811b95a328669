/* Compute instances: what a GPU instance can hold, created, destroyed, listed. The id of a profile is the number that it is asked
 * with, as in the published output of nvidia-smi mig -lcip. */
#include <stdio.h>

#include "mig.h"

/* How many fit into the GPU instance as it stands, or into an empty one. */
static unsigned int count_free(const struct device *of, unsigned int slices, bool empty) {
    unsigned int starts[MAX_COMPUTE], count = mig_compute_starts(of->gpu, of->instance, slices, starts), free = 0;
    for (unsigned int i = 0; i < count; i++)
        free += empty || mig_compute_fits(of->instance, slices, starts[i]);
    return free;
}

/* The GPU instance's multiprocessors are dealt out by slices. */
static unsigned int multiprocessors(const struct device *of, unsigned int slices) {
    const struct profile *profile = mig_profile_of(of->gpu, of->instance);
    return profile->multiprocessors * slices / profile->slices;
}

static nvmlReturn_t ask(const struct state *state, const struct device *of, unsigned int question, unsigned int *slices) {
    *slices = mig_compute_slices(of->gpu, of->instance, question);
    if (*slices == 0)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    REQUIRE_ROOT();
    return NVML_SUCCESS;
}

/* All of a GPU instance's engines are shared by its compute instances. */
#define COMMON_FIELDS(of, question, slices, profile)                                                                \
    .id = question, .sliceCount = slices, .instanceCount = count_free(of, slices, true),                            \
    .multiprocessorCount = multiprocessors(of, slices), .sharedCopyEngineCount = (profile)->copy_engines,           \
    .sharedDecoderCount = (profile)->decoders, .sharedJpegCount = (profile)->jpeg, .sharedOfaCount = (profile)->ofa

NVML_API nvmlReturn_t nvmlGpuInstanceGetComputeInstanceProfileInfo(nvmlGpuInstance_t instance, unsigned int question,
                                                                   unsigned int engines, nvmlComputeInstanceProfileInfo_t *info) {
    ENTER_GPU_INSTANCE(instance);
    REQUIRE(info && question < NVML_COMPUTE_INSTANCE_PROFILE_COUNT && engines < NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_COUNT);
    unsigned int slices;
    ADMIT(ask(state, &of, question, &slices));
    const struct profile *profile = mig_profile_of(of.gpu, of.instance);
    *info = (nvmlComputeInstanceProfileInfo_t){COMMON_FIELDS(&of, question, slices, profile)};
    return NVML_SUCCESS;
}

static void name(const struct device *of, unsigned int slices, char *buffer, size_t size) {
    const struct profile *profile = mig_profile_of(of->gpu, of->instance);
    if (slices == profile->slices)
        snprintf(buffer, size, "MIG %s", profile->name);
    else
        snprintf(buffer, size, "MIG %uc.%s", slices, profile->name);
}

NVML_API nvmlReturn_t nvmlGpuInstanceGetComputeInstanceProfileInfoV(nvmlGpuInstance_t instance, unsigned int question,
                                                                    unsigned int engines, nvmlComputeInstanceProfileInfo_v2_t *info) {
    ENTER_GPU_INSTANCE(instance);
    REQUIRE(info && question < NVML_COMPUTE_INSTANCE_PROFILE_COUNT && engines < NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_COUNT);
    unsigned int slices, version = info->version;
    if (version != NVML_STRUCT_VERSION(nvmlComputeInstanceProfileInfo_v2_t, 2))
        return refuse(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    ADMIT(ask(state, &of, question, &slices));
    const struct profile *profile = mig_profile_of(of.gpu, of.instance);
    *info = (nvmlComputeInstanceProfileInfo_v2_t){.version = version, COMMON_FIELDS(&of, question, slices, profile)};
    name(&of, slices, info->name, sizeof info->name);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlGpuInstanceGetComputeInstanceRemainingCapacity(nvmlGpuInstance_t instance, unsigned int id,
                                                                         unsigned int *count) {
    ENTER_GPU_INSTANCE(instance);
    REQUIRE(count);
    unsigned int slices;
    ADMIT(ask(state, &of, id, &slices));
    *count = count_free(&of, slices, false);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlGpuInstanceGetComputeInstancePossiblePlacements(nvmlGpuInstance_t instance, unsigned int id,
                                                                          nvmlComputeInstancePlacement_t *placements,
                                                                          unsigned int *count) {
    ENTER_GPU_INSTANCE(instance);
    REQUIRE(count);
    unsigned int slices, starts[MAX_COMPUTE];
    ADMIT(ask(state, &of, id, &slices));
    *count = mig_compute_starts(of.gpu, of.instance, slices, starts);
    for (unsigned int i = 0; placements && i < *count; i++)
        placements[i] = (nvmlComputeInstancePlacement_t){.start = starts[i], .size = slices};
    return NVML_SUCCESS;
}

static nvmlReturn_t create(const struct device *of, unsigned int slices, unsigned int start, nvmlComputeInstance_t *handle) {
    struct state *state = state_current();
    struct gpu_instance *instance = &state->gpus[state_index(of->gpu)].instances[of->gpu_instance_id];
    unsigned int id = 0;
    while (instance->compute[id].exists)
        id++; /* there are fewer slices than ids */
    instance->compute[id] = (struct compute_instance){.exists = true, .slices = slices, .start = start, .serial = ++state->mig_serial};
    *handle = mig_compute_instance_handle(of->gpu, of->gpu_instance_id, id);
    return mig_write();
}

/* The driver chooses the first place that is free: assumed. */
NVML_API nvmlReturn_t nvmlGpuInstanceCreateComputeInstance(nvmlGpuInstance_t instance, unsigned int id,
                                                           nvmlComputeInstance_t *compute) {
    ENTER_CHANGE();
    struct device of;
    ADMIT(mig_admit_gpu_instance(__func__, instance, &of));
    REQUIRE(compute);
    unsigned int slices, starts[MAX_COMPUTE];
    ADMIT(ask(state, &of, id, &slices));
    unsigned int count = mig_compute_starts(of.gpu, of.instance, slices, starts);
    for (unsigned int i = 0; i < count; i++)
        if (mig_compute_fits(of.instance, slices, starts[i]))
            return create(&of, slices, starts[i], compute);
    return refuse(NVML_ERROR_INSUFFICIENT_RESOURCES);
}

NVML_API nvmlReturn_t nvmlGpuInstanceCreateComputeInstanceWithPlacement(nvmlGpuInstance_t instance, unsigned int id,
                                                                        const nvmlComputeInstancePlacement_t *placement,
                                                                        nvmlComputeInstance_t *compute) {
    ENTER_CHANGE();
    struct device of;
    ADMIT(mig_admit_gpu_instance(__func__, instance, &of));
    REQUIRE(compute && placement);
    unsigned int slices, starts[MAX_COMPUTE];
    ADMIT(ask(state, &of, id, &slices));
    bool known = false;
    for (unsigned int i = mig_compute_starts(of.gpu, of.instance, slices, starts); i > 0; i--)
        known = known || starts[i - 1] == placement->start;
    REQUIRE(known && placement->size == slices);
    if (!mig_compute_fits(of.instance, slices, placement->start))
        return refuse(NVML_ERROR_INSUFFICIENT_RESOURCES);
    return create(&of, slices, placement->start, compute);
}

NVML_API nvmlReturn_t nvmlComputeInstanceDestroy(nvmlComputeInstance_t compute) {
    ENTER_CHANGE();
    struct device of;
    ADMIT(mig_admit_compute_instance(__func__, compute, &of));
    REQUIRE_ROOT();
    if (mig_busy(of.gpu, of.gpu_instance_id, of.compute_instance_id))
        return refuse(NVML_ERROR_IN_USE);
    struct gpu_instance *instance = &state_current()->gpus[state_index(of.gpu)].instances[of.gpu_instance_id];
    instance->compute[of.compute_instance_id] = (struct compute_instance){0};
    return mig_write();
}

/* As for GPU instances, the caller's buffer is trusted. */
NVML_API nvmlReturn_t nvmlGpuInstanceGetComputeInstances(nvmlGpuInstance_t instance, unsigned int id,
                                                         nvmlComputeInstance_t *computes, unsigned int *count) {
    ENTER_GPU_INSTANCE(instance);
    REQUIRE(computes && count);
    unsigned int slices;
    ADMIT(ask(state, &of, id, &slices));
    *count = 0;
    for (unsigned int i = 0; i < MAX_COMPUTE; i++)
        if (of.instance->compute[i].exists && of.instance->compute[i].slices == slices)
            computes[(*count)++] = mig_compute_instance_handle(of.gpu, of.gpu_instance_id, i);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlGpuInstanceGetComputeInstanceById(nvmlGpuInstance_t instance, unsigned int id,
                                                            nvmlComputeInstance_t *compute) {
    ENTER_GPU_INSTANCE(instance);
    REQUIRE(compute);
    REQUIRE_ROOT();
    if (id >= MAX_COMPUTE || !of.instance->compute[id].exists)
        return refuse(NVML_ERROR_NOT_FOUND);
    *compute = mig_compute_instance_handle(of.gpu, of.gpu_instance_id, id);
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlComputeInstanceGetInfo_v2(nvmlComputeInstance_t compute, nvmlComputeInstanceInfo_t *info) {
    ENTER();
    struct device of;
    ADMIT(mig_admit_compute_instance(__func__, compute, &of));
    REQUIRE(info);
    *info = (nvmlComputeInstanceInfo_t){.device = gpu_handle(of.gpu),
                                        .gpuInstance = mig_gpu_instance_handle(of.gpu, of.gpu_instance_id),
                                        .id = of.compute_instance_id,
                                        .profileId = mig_compute_question(of.compute->slices),
                                        .placement = {.start = of.compute->start, .size = of.compute->slices}};
    return NVML_SUCCESS;
}
