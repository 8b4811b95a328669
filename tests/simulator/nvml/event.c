/* Event sets, for clients that wait for critical Xids. An Xid is new to a set when the GPU's xid_count differs from what it was when
 * the set began to listen, or from the last one that it was told of. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

#include "state.h"

#define MAX_SETS 64
#define POLL_MILLISECONDS 20U

struct nvmlEventSet_st {
    bool used;
    bool listens[MAX_GPUS];
    unsigned int seen[MAX_GPUS];
};

static struct nvmlEventSet_st sets[MAX_SETS]; /* of a fixed number, so that a handle can be told from rubbish */

static bool is_set(nvmlEventSet_t set) {
    return set >= sets && set < sets + MAX_SETS && set->used;
}

NVML_API nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set) {
    ENTER();
    REQUIRE(set);
    for (unsigned int i = 0; i < MAX_SETS; i++) {
        if (sets[i].used)
            continue;
        sets[i] = (struct nvmlEventSet_st){.used = true};
        *set = &sets[i];
        return NVML_SUCCESS;
    }
    return refuse(NVML_ERROR_MEMORY);
}

NVML_API nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) {
    ENTER();
    REQUIRE(is_set(set));
    set->used = false;
    return NVML_SUCCESS;
}

GPU_NUMBER(nvmlDeviceGetSupportedEventTypes, unsigned long long, NVML_EVENT_XID_CRITICAL_ERROR)

NVML_API nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types, nvmlEventSet_t set) {
    ENTER_GPU(device);
    REQUIRE(is_set(set));
    if (types & ~NVML_EVENT_XID_CRITICAL_ERROR)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    unsigned int index = state_index(gpu);
    set->listens[index] = true;
    set->seen[index] = gpu->xid_count;
    return NVML_SUCCESS;
}

/* One look. TIMEOUT: nothing has happened. */
static nvmlReturn_t look(nvmlEventSet_t set, nvmlEventData_t *data) {
    ENTER_AS("nvmlEventSetWait");
    REQUIRE(is_set(set) && data);
    for (unsigned int i = 0; i < MAX_GPUS; i++) {
        if (!set->listens[i])
            continue;
        nvmlDevice_t handle;
        nvmlReturn_t refused = state_handle("nvmlEventSetWait", i, &handle);
        if (refused != NVML_SUCCESS)
            return refused;
        if (state->gpus[i].xid_count == set->seen[i])
            continue;
        set->seen[i] = state->gpus[i].xid_count;
        *data = (nvmlEventData_t){.device = handle,
                                  .eventType = NVML_EVENT_XID_CRITICAL_ERROR,
                                  .eventData = state->gpus[i].xid,
                                  .gpuInstanceId = NVML_NO_INSTANCE,
                                  .computeInstanceId = NVML_NO_INSTANCE};
        return NVML_SUCCESS;
    }
    return refuse(NVML_ERROR_TIMEOUT);
}

/* Holds no lock while it sleeps: other threads go on with their calls. */
NVML_API nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned int milliseconds) {
    for (unsigned int waited = 0;; waited += POLL_MILLISECONDS) {
        nvmlReturn_t seen = look(set, data);
        if (seen != NVML_ERROR_TIMEOUT || waited >= milliseconds)
            return seen;
        nanosleep(&(struct timespec){.tv_nsec = POLL_MILLISECONDS * 1000000L}, NULL);
    }
}

/* The first version's structure ends before the instance ids. */
NVML_API nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_v1_t *data, unsigned int milliseconds) {
    nvmlEventData_t full;
    nvmlReturn_t seen = nvmlEventSetWait_v2(set, data ? &full : NULL, milliseconds);
    if (seen == NVML_SUCCESS)
        *data = (nvmlEventData_v1_t){.device = full.device, .eventType = full.eventType, .eventData = full.eventData};
    return seen;
}
