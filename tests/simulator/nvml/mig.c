/* MIG of a GPU as it can be read: mode, profiles, placements, and what room is left. */
#include <stdio.h>

#include "mig.h"

NVML_API nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned int *mode, unsigned int *pending) {
    ENTER_GPU(device);
    REQUIRE(mode && pending);
    if (!gpu->mig_capable)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    *mode = gpu->mig_mode;
    *pending = gpu->mig_pending;
    return NVML_SUCCESS;
}

/* Zero, not an error, where MIG is not supported or off. */
GPU_NUMBER(nvmlDeviceGetMaxMigDeviceCount, unsigned int, gpu->mig_mode ? gpu->mig_max_devices : 0)

static bool lists_profiles(const struct state *state, const struct gpu *gpu) {
    return gpu->mig_capable && (gpu->mig_mode || state->mig_independent);
}

/* Profiles have two numbers: the one that a client asks about them with, and the id that the answer holds and all else takes. */
static const struct profile *profile_asked(const struct gpu *gpu, unsigned int question) {
    for (unsigned int i = 0; i < gpu->profile_count; i++)
        if (gpu->profiles[i].question == question)
            return &gpu->profiles[i];
    return NULL;
}

static nvmlReturn_t ask(const struct state *state, const struct gpu *gpu, unsigned int question, const struct profile **profile) {
    REQUIRE(question < NVML_GPU_INSTANCE_PROFILE_COUNT);
    *profile = lists_profiles(state, gpu) ? profile_asked(gpu, question) : NULL;
    return *profile ? NVML_SUCCESS : refuse(NVML_ERROR_NOT_SUPPORTED);
}

#define COMMON_PROFILE_FIELDS(p)                                                                                  \
    .id = (p)->id, .sliceCount = (p)->slices, .instanceCount = (p)->instances,                                    \
    .multiprocessorCount = (p)->multiprocessors, .copyEngineCount = (p)->copy_engines, .decoderCount = (p)->decoders, \
    .jpegCount = (p)->jpeg, .ofaCount = (p)->ofa, .memorySizeMB = (p)->memory_mib

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfo(nvmlDevice_t device, unsigned int question,
                                                          nvmlGpuInstanceProfileInfo_t *info) {
    ENTER_GPU(device);
    REQUIRE(info);
    const struct profile *profile;
    ADMIT(ask(state, gpu, question, &profile));
    *info = (nvmlGpuInstanceProfileInfo_t){COMMON_PROFILE_FIELDS(profile)};
    return NVML_SUCCESS;
}

/* The caller's version says which structure `info` is. */
static nvmlReturn_t describe(const struct profile *profile, void *info) {
    unsigned int version = *(unsigned int *)info;
    if (version == NVML_STRUCT_VERSION(nvmlGpuInstanceProfileInfo_v2_t, 2)) {
        nvmlGpuInstanceProfileInfo_v2_t *v2 = info;
        *v2 = (nvmlGpuInstanceProfileInfo_v2_t){.version = version, COMMON_PROFILE_FIELDS(profile)};
        snprintf(v2->name, sizeof v2->name, "MIG %s", profile->name);
        return NVML_SUCCESS;
    }
    if (version == NVML_STRUCT_VERSION(nvmlGpuInstanceProfileInfo_v3_t, 3)) {
        nvmlGpuInstanceProfileInfo_v3_t *v3 = info;
        *v3 = (nvmlGpuInstanceProfileInfo_v3_t){.version = version, COMMON_PROFILE_FIELDS(profile)};
        snprintf(v3->name, sizeof v3->name, "MIG %s", profile->name);
        return NVML_SUCCESS;
    }
    return refuse(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoV(nvmlDevice_t device, unsigned int question, void *info) {
    ENTER_GPU(device);
    REQUIRE(info);
    const struct profile *profile;
    nvmlReturn_t refused = ask(state, gpu, question, &profile);
    return refused == NVML_SUCCESS ? describe(profile, info) : refused;
}

/* What takes an id also takes a privileged caller, and MIG switched on where the driver is old. */
static nvmlReturn_t look_up(const struct state *state, const struct gpu *gpu, unsigned int id, const struct profile **profile) {
    *profile = lists_profiles(state, gpu) ? mig_profile_by_id(gpu, id) : NULL;
    if (!*profile)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    return state->privileged ? NVML_SUCCESS : refuse(NVML_ERROR_NO_PERMISSION);
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfoByIdV(nvmlDevice_t device, unsigned int id, void *info) {
    ENTER_GPU(device);
    REQUIRE(info);
    const struct profile *profile = lists_profiles(state, gpu) ? mig_profile_by_id(gpu, id) : NULL;
    return profile ? describe(profile, info) : refuse(NVML_ERROR_NOT_SUPPORTED);
}

/* `count` only tells how many there are: a caller that brings a buffer is trusted to have asked before. */
NVML_API nvmlReturn_t nvmlDeviceGetGpuInstancePossiblePlacements_v2(nvmlDevice_t device, unsigned int id,
                                                                    nvmlGpuInstancePlacement_t *placements, unsigned int *count) {
    ENTER_GPU(device);
    REQUIRE(count);
    const struct profile *profile;
    ADMIT(look_up(state, gpu, id, &profile));
    *count = profile->placement_count;
    for (unsigned int i = 0; placements && i < profile->placement_count; i++)
        placements[i] = (nvmlGpuInstancePlacement_t){.start = profile->starts[i], .size = profile->placement_size};
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstancePossiblePlacements(nvmlDevice_t device, unsigned int id,
                                                                 nvmlGpuInstancePlacement_t *placements, unsigned int *count) {
    return nvmlDeviceGetGpuInstancePossiblePlacements_v2(device, id, placements, count);
}

NVML_API nvmlReturn_t nvmlDeviceGetGpuInstanceRemainingCapacity(nvmlDevice_t device, unsigned int id, unsigned int *count) {
    ENTER_GPU(device);
    REQUIRE(count);
    const struct profile *profile;
    ADMIT(look_up(state, gpu, id, &profile));
    if (!gpu->mig_mode)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    *count = mig_remaining(gpu, profile);
    return NVML_SUCCESS;
}
