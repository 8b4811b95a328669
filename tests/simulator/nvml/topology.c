/* How GPUs lie to each other and to the processors: each on its own root of one NUMA node, without NVLink. */
#include <string.h>

#include "state.h"

#define TOPOLOGY_INTERNAL 0U
#define TOPOLOGY_NODE 40U
#define P2P_CHIPSET_NOT_SUPPORTED 1U

#define ENTER_PAIR(one, other)                                                                     \
    ENTER_GPU(one);                                                                                \
    const struct gpu *second;                                                                      \
    ADMIT(state_admit_gpu(__func__, other, &second))

NVML_API nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(nvmlDevice_t one, nvmlDevice_t other, unsigned int *level) {
    ENTER_PAIR(one, other);
    REQUIRE(level);
    *level = gpu == second ? TOPOLOGY_INTERNAL : TOPOLOGY_NODE;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t one, nvmlDevice_t other, int *same) {
    ENTER_PAIR(one, other);
    REQUIRE(same);
    *same = gpu == second;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t one, nvmlDevice_t other, unsigned int capability, unsigned int *status) {
    ENTER_PAIR(one, other);
    (void)capability;
    REQUIRE(status && gpu != second);
    *status = P2P_CHIPSET_NOT_SUPPORTED;
    return NVML_SUCCESS;
}

/* Unlike other lists, asking with a count of 0 succeeds and tells how many there are. */
static nvmlReturn_t list_gpus(const char *function, const struct state *state, const struct gpu *but, unsigned int *count,
                              nvmlDevice_t *devices) {
    REQUIRE(count);
    unsigned int room = *count, found = 0;
    REQUIRE(devices || room == 0);
    for (unsigned int i = 0; i < state->gpu_count; i++) {
        nvmlDevice_t handle;
        if (&state->gpus[i] == but || state_handle(function, i, &handle) != NVML_SUCCESS)
            continue;
        if (found < room)
            devices[found] = handle;
        found++;
    }
    *count = room && room < found ? room : found;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetTopologyNearestGpus(nvmlDevice_t device, unsigned int level, unsigned int *count,
                                                       nvmlDevice_t *devices) {
    ENTER_GPU(device);
    if (level == TOPOLOGY_NODE)
        return list_gpus(__func__, state, gpu, count, devices);
    REQUIRE(count);
    *count = 0;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlSystemGetTopologyGpuSet(unsigned int cpu, unsigned int *count, nvmlDevice_t *devices) {
    ENTER();
    (void)cpu;
    return list_gpus(__func__, state, NULL, count, devices);
}

static nvmlReturn_t fill_set(unsigned int words, unsigned long *set, unsigned long first) {
    REQUIRE(words > 0 && set);
    memset(set, 0, words * sizeof *set);
    set[0] = first;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetCpuAffinity(nvmlDevice_t device, unsigned int words, unsigned long *set) {
    ENTER_GPU(device);
    return fill_set(words, set, 0xFF); /* eight processors, all near to every GPU */
}

NVML_API nvmlReturn_t nvmlDeviceGetMemoryAffinity(nvmlDevice_t device, unsigned int words, unsigned long *set, unsigned int scope) {
    ENTER_GPU(device);
    (void)scope;
    return fill_set(words, set, 1);
}
