/* Memory and the processes that hold it. */
#include <time.h>

#include "mig.h"

struct memory {
    unsigned long long total, reserved, used, free;
};

static bool runs_on(const struct process *process, const struct device *device) {
    if (!device->compute)
        return true;
    return process->gpu_instance == device->gpu_instance_id && process->compute_instance == device->compute_instance_id;
}

static unsigned long long used(const struct device *device) {
    const struct gpu *gpu = device->gpu;
    unsigned long long sum = device->instance ? 0 : gpu->memory_other_mib * MIB;
    for (unsigned int i = 0; i < gpu->process_count; i++) {
        const struct process *process = &gpu->processes[i];
        bool there = !device->instance || process->gpu_instance == device->gpu_instance_id;
        if (there && process->used != (unsigned long long)NVML_VALUE_NOT_AVAILABLE)
            sum += process->used;
    }
    return sum;
}

/* The compute instances of a GPU instance share its memory, so that each shows all of it. That nothing of it counts as reserved is
 * assumed: what the driver keeps is not in the instance's total. */
static struct memory account(const struct device *device) {
    const struct gpu *gpu = device->gpu;
    struct memory memory = {.total = gpu->memory_total_mib * MIB, .reserved = gpu->memory_reserved_mib * MIB};
    if (device->instance)
        memory = (struct memory){.total = mig_profile_of(gpu, device->instance)->memory_mib * MIB};
    memory.used = used(device);
    /* A card cannot give out more than it has, whatever the state says. */
    if (memory.used > memory.total - memory.reserved)
        memory.used = memory.total - memory.reserved;
    memory.free = memory.total - memory.reserved - memory.used;
    return memory;
}

/* "In MIG mode, if device handle is provided, the API returns aggregate information, only if the caller has appropriate privileges." */
#define REQUIRE_SIGHT()                                                             \
    do {                                                                            \
        if (target->gpu->mig_mode && !target->compute && !state->privileged)        \
            return refuse(NVML_ERROR_NO_PERMISSION);                                \
    } while (0)

NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *info) {
    ENTER_DEVICE(device);
    REQUIRE(info);
    REQUIRE_SIGHT();
    struct memory memory = account(target);
    info->total = memory.total;
    info->free = memory.free;
    info->used = memory.used + memory.reserved; /* version 1 has no field for the reserved memory and counts it as used */
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *info) {
    ENTER_DEVICE(device);
    REQUIRE(info);
    if (info->version != NVML_STRUCT_VERSION(nvmlMemory_v2_t, 2))
        return refuse(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    REQUIRE_SIGHT();
    struct memory memory = account(target);
    info->total = memory.total;
    info->reserved = memory.reserved;
    info->free = memory.free;
    info->used = memory.used;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetBAR1MemoryInfo(nvmlDevice_t device, nvmlBAR1Memory_t *info) {
    ENTER_DEVICE(device);
    REQUIRE(info);
    REQUIRE_SIGHT();
    const struct gpu *gpu = target->gpu;
    /* A MIG device shows its share, by memory units. */
    unsigned int units = target->instance ? mig_profile_of(gpu, target->instance)->placement_size : 1;
    info->bar1Total = gpu->bar1_total_mib * MIB * units / (target->instance ? gpu->mig_units : 1);
    info->bar1Used = (gpu->process_count ? 4 : 1) * MIB;
    info->bar1Free = info->bar1Total - info->bar1Used;
    return NVML_SUCCESS;
}

static bool is_listed(const struct process *process, const struct device *device, enum process_type type) {
    return process->type == type && runs_on(process, device);
}

static unsigned int count_processes(const struct device *device, enum process_type type) {
    unsigned int count = 0;
    for (unsigned int i = 0; i < device->gpu->process_count; i++)
        count += is_listed(&device->gpu->processes[i], device, type);
    return count;
}

static nvmlReturn_t list_v1(const struct device *device, enum process_type type, unsigned int *count, nvmlProcessInfo_v1_t *infos) {
    ADMIT(claim(count_processes(device, type), count, infos));
    const struct process *process = device->gpu->processes;
    for (unsigned int i = 0; i < device->gpu->process_count; i++, process++)
        if (is_listed(process, device, type))
            *infos++ = (nvmlProcessInfo_v1_t){.pid = process->pid, .usedGpuMemory = process->used};
    return NVML_SUCCESS;
}

#define PROCESS_FIELDS(p) \
    .pid = (p)->pid, .usedGpuMemory = (p)->used, .gpuInstanceId = (p)->gpu_instance, .computeInstanceId = (p)->compute_instance

static nvmlReturn_t list_v2(const struct device *device, enum process_type type, unsigned int *count, nvmlProcessInfo_v2_t *infos) {
    ADMIT(claim(count_processes(device, type), count, infos));
    const struct process *process = device->gpu->processes;
    for (unsigned int i = 0; i < device->gpu->process_count; i++, process++)
        if (is_listed(process, device, type))
            *infos++ = (nvmlProcessInfo_v2_t){PROCESS_FIELDS(process)};
    return NVML_SUCCESS;
}

/* The symbol without a version fills in the short structure of old; _v2 and _v3 the same longer one. */
#define RUNNING_PROCESSES(function, type)                                                                                \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_v1_t *infos) {              \
        ENTER_DEVICE(device);                                                                                            \
        REQUIRE(count);                                                                                                  \
        REQUIRE_SIGHT();                                                                                                 \
        return list_v1(target, type, count, infos);                                                                      \
    }                                                                                                                    \
    NVML_API nvmlReturn_t function##_v2(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_v2_t *infos) {         \
        ENTER_DEVICE(device);                                                                                            \
        REQUIRE(count);                                                                                                  \
        REQUIRE_SIGHT();                                                                                                 \
        return list_v2(target, type, count, infos);                                                                      \
    }                                                                                                                    \
    NVML_API nvmlReturn_t function##_v3(nvmlDevice_t device, unsigned int *count, nvmlProcessInfo_v2_t *infos) {         \
        return function##_v2(device, count, infos);                                                                      \
    }

RUNNING_PROCESSES(nvmlDeviceGetComputeRunningProcesses, PROCESS_COMPUTE)
RUNNING_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses, PROCESS_GRAPHICS)
RUNNING_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses, PROCESS_MPS)

NVML_API nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device, nvmlProcessDetailList_v1_t *list) {
    ENTER_DEVICE(device);
    REQUIRE(list);
    if (list->version != NVML_STRUCT_VERSION(nvmlProcessDetailList_v1_t, 1))
        return refuse(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    REQUIRE(list->mode <= PROCESS_MPS); /* compute, graphics, MPS: numbered as here */
    REQUIRE_SIGHT();
    enum process_type type = (enum process_type)list->mode;
    ADMIT(claim(count_processes(target, type), &list->numProcArrayEntries, list->procArray));
    nvmlProcessDetail_v1_t *detail = list->procArray;
    const struct process *process = target->gpu->processes;
    for (unsigned int i = 0; i < target->gpu->process_count; i++, process++)
        if (is_listed(process, target, type))
            *detail++ = (nvmlProcessDetail_v1_t){PROCESS_FIELDS(process)};
    return NVML_SUCCESS;
}

/* The share of each process after `since`, in microseconds; the card's use is dealt out evenly. NOT_FOUND: nobody ran. */
NVML_API nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *samples, unsigned int *count,
                                                      unsigned long long since) {
    ENTER_GPU(device);
    REQUIRE(count);
    if (gpu->mig_mode) /* documented: not supported on GPUs with MIG on */
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long long timestamp = (unsigned long long)now.tv_sec * 1000000ULL + (unsigned long long)now.tv_nsec / 1000ULL;
    unsigned int running = timestamp > since ? gpu->process_count : 0;
    ADMIT(claim(running, count, samples));
    if (running == 0)
        return refuse(NVML_ERROR_NOT_FOUND);
    for (unsigned int i = 0; i < running; i++)
        samples[i] = (nvmlProcessUtilizationSample_t){.pid = gpu->processes[i].pid,
                                                      .timeStamp = timestamp,
                                                      .smUtil = gpu->utilization_gpu / running,
                                                      .memUtil = gpu->utilization_memory / running};
    return NVML_SUCCESS;
}
