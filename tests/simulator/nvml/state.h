/* The node's state as read from the file beside the library, and the way in and out of every call. */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "nvml_abi.h"

#define MAX_GPUS 32
#define MAX_PROCESSES 256
#define MAX_PROFILES 18
#define MAX_PLACEMENTS 16
#define MAX_FAULTS 16
#define MIB 1048576ULL

enum process_type { PROCESS_COMPUTE, PROCESS_GRAPHICS, PROCESS_MPS };

struct process {
    enum process_type type;
    unsigned int pid;
    unsigned long long used; /* bytes, or NVML_VALUE_NOT_AVAILABLE */
};

struct profile {
    char name[32];
    unsigned int question, id, slices, multiprocessors, memory_mib, instances;
    unsigned int copy_engines, decoders, jpeg, ofa;
    unsigned int placement_size, placement_count, starts[MAX_PLACEMENTS];
};

struct fault {
    char function[64]; /* without _v2, _v3 */
    nvmlReturn_t error;
};

struct faults {
    struct fault list[MAX_FAULTS];
    unsigned int count;
};

struct gpu {
    char name[96], uuid[80], serial[30], bus_id[32];
    unsigned int minor_number, brand, architecture, compute_major, compute_minor, pci_device_id, pci_subsystem_id;
    unsigned int cores, multiprocessors, bus_width, pcie_generation;
    unsigned int memory_total_mib, memory_reserved_mib, memory_other_mib, bar1_total_mib;
    unsigned int power_default_mw, power_min_mw, power_max_mw, power_draw_mw;
    unsigned int clock_graphics_max, clock_memory_max, clock_video_max, clock_graphics, clock_memory;
    unsigned int utilization_gpu, utilization_memory, temperature, performance_state, persistence_mode, compute_mode;
    unsigned int mig_capable, mig_mode, mig_pending, mig_max_devices;
    unsigned int lost, xid, xid_count;
    struct process processes[MAX_PROCESSES];
    unsigned int process_count;
    struct profile profiles[MAX_PROFILES];
    unsigned int profile_count;
    struct faults faults;
    unsigned int domain, bus, device; /* of bus_id */
};

struct state {
    char driver_version[80], nvml_version[80];
    unsigned int cuda_driver_version, init_error;
    unsigned int privileged;      /* whether the caller is root, which some MIG queries ask for */
    unsigned int mig_independent; /* whether this driver lists MIG profiles also while MIG is disabled */
    struct faults faults;
    struct gpu gpus[MAX_GPUS];
    unsigned int gpu_count;
};

/* Reads a state file; false when it cannot be read or understood. */
bool state_parse(const char *path, struct state *state);

/* Every exported function begins with one of the ENTER macros. They take the lock until the function returns, pick up a changed
 * state file, and answer what is common to all calls: uninitialised, a bad handle, a lost GPU, an injected fault.
 * The lock is not recursive: an exported function that only forwards to its newer version has no ENTER. */
#define ENTER_AS(name)                                                                             \
    __attribute__((cleanup(state_unlock))) int locked __attribute__((unused)) = state_lock();      \
    const struct state *state __attribute__((unused));                                             \
    do {                                                                                           \
        nvmlReturn_t refused = state_admit(name, &state);                                          \
        if (refused != NVML_SUCCESS)                                                               \
            return refused;                                                                        \
    } while (0)

#define ENTER() ENTER_AS(__func__)

#define ENTER_GPU(handle)                                                                \
    ENTER();                                                                             \
    const struct gpu *gpu;                                                               \
    do {                                                                                 \
        nvmlReturn_t refused = state_admit_gpu(__func__, handle, &gpu);                  \
        if (refused != NVML_SUCCESS)                                                     \
            return refused;                                                              \
    } while (0)

#define REQUIRE(condition)                                                               \
    do {                                                                                 \
        if (!(condition))                                                                \
            return NVML_ERROR_INVALID_ARGUMENT;                                          \
    } while (0)

/* A function that answers one string or number of the GPU. */
#define GPU_STRING(function, field)                                                                \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, char *buffer, unsigned int length) {       \
        ENTER_GPU(device);                                                                         \
        return copy_string(gpu->field, buffer, length);                                            \
    }

#define GPU_NUMBER(function, type, expression)                                                     \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, type *value) {                             \
        ENTER_GPU(device);                                                                         \
        REQUIRE(value);                                                                            \
        *value = (type)(expression);                                                               \
        return NVML_SUCCESS;                                                                       \
    }

int state_lock(void);
void state_unlock(int *locked);
nvmlReturn_t state_initialize(bool without_gpus);
nvmlReturn_t state_shutdown(void);
nvmlReturn_t state_admit(const char *function, const struct state **state);
nvmlReturn_t state_admit_gpu(const char *function, nvmlDevice_t handle, const struct gpu **gpu);

/* What a look-up of that GPU answers: a lost one gives no handle. */
nvmlReturn_t state_handle(const char *function, unsigned int index, nvmlDevice_t *handle);
unsigned int state_index(const struct gpu *gpu);

/* The path of a file beside the library. */
void state_path(const char *name, char *buffer, size_t size);

/* The convention of most lists: the caller says how many fit, and where they do not, only their number is written. */
nvmlReturn_t claim(unsigned int needed, unsigned int *count, const void *buffer);

/* Copies a string into a caller's buffer as NVML does: all of it, or INSUFFICIENT_SIZE. */
nvmlReturn_t copy_string(const char *value, char *buffer, unsigned int length);

#endif
