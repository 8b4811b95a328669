/* Memory and the processes that hold it. */
#include <time.h>

#include "state.h"

struct memory {
    unsigned long long total, reserved, used, free;
};

static struct memory account(const struct gpu *gpu) {
    struct memory memory = {.total = gpu->memory_total_mib * MIB, .reserved = gpu->memory_reserved_mib * MIB};
    memory.used = gpu->memory_other_mib * MIB;
    for (unsigned int i = 0; i < gpu->process_count; i++)
        if (gpu->processes[i].used != (unsigned long long)NVML_VALUE_NOT_AVAILABLE)
            memory.used += gpu->processes[i].used;
    /* A card cannot give out more than it has, whatever the state says. */
    if (memory.used > memory.total - memory.reserved)
        memory.used = memory.total - memory.reserved;
    memory.free = memory.total - memory.reserved - memory.used;
    return memory;
}

NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *info) {
    ENTER_GPU(device);
    REQUIRE(info);
    struct memory memory = account(gpu);
    info->total = memory.total;
    info->free = memory.free;
    info->used = memory.used + memory.reserved; /* version 1 has no field for the reserved memory and counts it as used */
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *info) {
    ENTER_GPU(device);
    REQUIRE(info);
    if (info->version != NVML_STRUCT_VERSION(nvmlMemory_v2_t, 2))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    struct memory memory = account(gpu);
    info->total = memory.total;
    info->reserved = memory.reserved;
    info->free = memory.free;
    info->used = memory.used;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *info) {
    ENTER_GPU(device);
    REQUIRE(info);
    info->bar1Total = gpu->bar1_total_mib * MIB;
    info->bar1Used = (gpu->process_count ? 4 : 1) * MIB;
    info->bar1Free = info->bar1Total - info->bar1Used;
    return NVML_SUCCESS;
}

static unsigned int count_processes(const struct gpu *gpu, enum process_type type) {
    unsigned int count = 0;
    for (unsigned int i = 0; i < gpu->process_count; i++)
        count += gpu->processes[i].type == type;
    return count;
}

static nvmlReturn_t list_v1(const struct gpu *gpu, enum process_type type, unsigned int *count, nvmlProcessInfo_v1_t *infos) {
    nvmlReturn_t refused = claim(count_processes(gpu, type), count, infos);
    if (refused != NVML_SUCCESS)
        return refused;
    for (unsigned int i = 0; i < gpu->process_count; i++)
        if (gpu->processes[i].type == type)
            *infos++ = (nvmlProcessInfo_v1_t){.pid = gpu->processes[i].pid, .usedGpuMemory = gpu->processes[i].used};
    return NVML_SUCCESS;
}

static nvmlReturn_t list_v2(const struct gpu *gpu, enum process_type type, unsigned int *count, nvmlProcessInfo_v2_t *infos) {
    nvmlReturn_t refused = claim(count_processes(gpu, type), count, infos);
    if (refused != NVML_SUCCESS)
        return refused;
    for (unsigned int i = 0; i < gpu->process_count; i++)
        if (gpu->processes[i].type == type)
            *infos++ = (nvmlProcessInfo_v2_t){.pid = gpu->processes[i].pid,
                                              .usedGpuMemory = gpu->processes[i].used,
                                              .gpuInstanceId = NVML_NO_INSTANCE,
                                              .computeInstanceId = NVML_NO_INSTANCE};
    return NVML_SUCCESS;
}

/* The symbol without a version fills in the short structure of old; _v2 and _v3 the same longer one. */
#define RUNNING_PROCESSES(function, type)                                                                                \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_v1_t *infos) {              \
        ENTER_GPU(device);                                                                                               \
        return list_v1(gpu, type, count, infos);                                                                         \
    }                                                                                                                    \
    NVML_API nvmlReturn_t function##_v2(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_v2_t *infos) {         \
        ENTER_GPU(device);                                                                                               \
        return list_v2(gpu, type, count, infos);                                                                         \
    }                                                                                                                    \
    NVML_API nvmlReturn_t function##_v3(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_v2_t *infos) {         \
        return function##_v2(device, count, infos);                                                                      \
    }

RUNNING_PROCESSES(nvmlDeviceGetComputeRunningProcesses, PROCESS_COMPUTE)
RUNNING_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, PROCESS_GRAPHICS)
RUNNING_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses, PROCESS_MPS)

NVML_API nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device, nvmlProcessDetailList_v1_t *list) {
    ENTER_GPU(device);
    REQUIRE(list);
    if (list->version != NVML_STRUCT_VERSION(nvmlProcessDetailList_v1_t, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    REQUIRE(list->mode <= PROCESS_MPS); /* compute, graphics, MPS: numbered as here */
    enum process_type type = (enum process_type)list->mode;
    nvmlReturn_t refused = claim(count_processes(gpu, type), &list->numProcArrayEntries, list->procArray);
    if (refused != NVML_SUCCESS)
        return refused;
    nvmlProcessDetail_v1_t *detail = list->procArray;
    for (unsigned int i = 0; i < gpu->process_count; i++)
        if (gpu->processes[i].type == type)
            *detail++ = (nvmlProcessDetail_v1_t){.pid = gpu->processes[i].pid,
                                                 .usedGpuMemory = gpu->processes[i].used,
                                                 .gpuInstanceId = NVML_NO_INSTANCE,
                                                 .computeInstanceId = NVML_NO_INSTANCE};
    return NVML_SUCCESS;
}

/* The share of each process after `since`, in microseconds; the card's use is dealt out evenly. NOT_FOUND: nobody ran. */
NVML_API nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *samples, unsigned int *count,
                                                      unsigned long long since) {
    ENTER_GPU(device);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long long timestamp = (unsigned long long)now.tv_sec * 1000000ULL + (unsigned long long)now.tv_nsec / 1000ULL;
    unsigned int running = timestamp > since ? gpu->process_count : 0;
    nvmlReturn_t refused = claim(running, count, samples);
    if (refused != NVML_SUCCESS)
        return refused;
    if (running == 0)
        return NVML_ERROR_NOT_FOUND;
    for (unsigned int i = 0; i < running; i++)
        samples[i] = (nvmlProcessUtilizationSample_t){.pid = gpu->processes[i].pid,
                                                      .timeStamp = timestamp,
                                                      .smUtil = gpu->utilization_gpu / running,
                                                      .memUtil = gpu->utilization_memory / running};
    return NVML_SUCCESS;
}
