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
#define MAX_FAULTS 32
#define MAX_HOLDERS 64
#define MAX_INSTANCES 16 /* GPU instance ids: at most 0 to 14, see mig_rules.c */
#define MAX_COMPUTE 8    /* compute instances of one GPU instance */
#define MIB 1048576ULL
#define ARCHITECTURE_AMPERE 7U
#define ARCHITECTURE_HOPPER 9U

enum process_type { PROCESS_COMPUTE, PROCESS_GRAPHICS, PROCESS_MPS };

struct process {
    enum process_type type;
    unsigned int pid;
    unsigned long long used;                /* bytes, or NVML_VALUE_NOT_AVAILABLE */
    unsigned int gpu_instance, compute_instance; /* NVML_NO_INSTANCE: on the whole GPU */
};

struct profile {
    char name[32];
    unsigned int question, id, slices, multiprocessors, memory_mib, instances;
    unsigned int copy_engines, decoders, jpeg, ofa;
    unsigned int placement_size, placement_count, starts[MAX_PLACEMENTS];
};

#define FAULT_KILL (-9)

struct fault {
    char function[64]; /* without _v2, _v3 */
    unsigned int nth;  /* the call that fails, counted in this process; 0: every one */
    int error;         /* nvmlReturn_t, or FAULT_KILL: SIGKILL in place of the call */
};

struct faults {
    struct fault list[MAX_FAULTS];
    unsigned int count;
};

/* A MIG device, as soon as it exists. Places of compute instances count compute slices. */
struct compute_instance {
    bool exists;
    unsigned int slices, start, serial; /* the serial number tells it from one that was at its place before */
};

/* Its number in `instances` is its id. `start` counts memory units. */
struct gpu_instance {
    bool exists;
    unsigned int profile, start; /* profile: position in `profiles` of the GPU */
    struct compute_instance compute[MAX_COMPUTE];
};

/* How a pending MIG mode can become the current one where a reset is needed. */
enum reset { RESET_BY_NVML, RESET_BY_COMMAND, RESET_BY_REBOOT };

struct gpu {
    char name[96], uuid[80], serial[30], bus_id[32];
    unsigned int minor_number, brand, architecture, compute_major, compute_minor, pci_device_id, pci_subsystem_id;
    unsigned int cores, multiprocessors, bus_width, pcie_generation;
    unsigned int memory_total_mib, memory_reserved_mib, memory_other_mib, bar1_total_mib;
    unsigned int power_default_mw, power_min_mw, power_max_mw, power_draw_mw;
    unsigned int clock_graphics_max, clock_memory_max, clock_video_max, clock_graphics, clock_memory;
    unsigned int utilization_gpu, utilization_memory, temperature, performance_state, persistence_mode, compute_mode;
    unsigned int mig_capable, mig_mode, mig_pending, mig_max_devices, mig_units;
    unsigned int nvlink; /* coupled with the others that are: they can only be reset together */
    unsigned int lost, xid, xid_count;
    struct process processes[MAX_PROCESSES];
    unsigned int process_count;
    struct profile profiles[MAX_PROFILES];
    unsigned int profile_count;
    struct gpu_instance instances[MAX_INSTANCES];
    struct faults faults;
    unsigned int domain, bus, device; /* of bus_id */
};

struct state {
    char driver_version[80], nvml_version[80];
    unsigned int cuda_driver_version, init_error;
    unsigned int privileged;      /* whether the caller is root, which some MIG queries ask for */
    unsigned int mig_independent; /* whether this driver lists MIG profiles also while MIG is disabled */
    unsigned int passthrough;     /* whether the machine is a virtual one that was given its GPUs */
    unsigned int reset;           /* enum reset */
    unsigned int mig_serial;      /* of the last compute instance that was created on this node */
    unsigned int holders[MAX_HOLDERS], holder_count; /* processes that hold NVML open without a context on a GPU */
    struct faults faults;
    struct gpu gpus[MAX_GPUS];
    unsigned int gpu_count;
};

/* Reads a state file; false when it cannot be read or understood. */
bool state_parse(const char *path, struct state *state);

/* Every exported function begins with one of the ENTER macros. They take the lock until the function returns, pick up a changed
 * state file, and answer what is common to all calls: uninitialised, a bad handle, a lost GPU, an injected fault.
 * The lock is not recursive: an exported function that only forwards to its newer version has no ENTER. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return refuse(NVML_ERROR_INVALID_ARGUMENT);                                            \
    } while (0)

/* Goes on where the call succeeds, and returns what it refused with otherwise. */
#define ADMIT(call)                                                                                \
    do {                                                                                           \
        nvmlReturn_t refused = call;                                                               \
        if (refused != NVML_SUCCESS)                                                               \
            return refused;                                                                        \
    } while (0)

#define ENTER_AS(name)                                                                             \
    __attribute__((cleanup(state_unlock))) int locked __attribute__((unused)) = state_lock(name);  \
    const struct state *state __attribute__((unused));                                             \
    ADMIT(state_admit(name, &state))

#define ENTER() ENTER_AS(__func__)

#define ENTER_GPU(handle)                                                                          \
    ENTER();                                                                                       \
    const struct gpu *gpu;                                                                         \
    ADMIT(state_admit_gpu(__func__, handle, &gpu))

/* What a device handle may stand for: a GPU, or a compute instance of it as a MIG device. */
struct device {
    const struct gpu *gpu;
    const struct gpu_instance *instance;    /* NULL: the whole GPU */
    const struct compute_instance *compute; /* NULL: the whole GPU */
    unsigned int gpu_instance_id, compute_instance_id;
};

/* Of the few functions that answer for a GPU and for a MIG device. */
#define ENTER_DEVICE(handle)                                                                       \
    ENTER();                                                                                       \
    struct device admitted;                                                                        \
    const struct device *target = &admitted;                                                       \
    ADMIT(state_admit_device(__func__, handle, &admitted))

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

/* The lock, for the call of that name, which the trace tells of when it is given back. */
int state_lock(const char *function);
void state_unlock(int *locked);
nvmlReturn_t state_initialize(bool without_gpus);
nvmlReturn_t state_shutdown(void);
nvmlReturn_t state_admit(const char *function, const struct state **state);
nvmlReturn_t state_admit_index(const char *function, unsigned int index);
nvmlReturn_t state_admit_gpu(const char *function, nvmlDevice_t handle, const struct gpu **gpu);
nvmlReturn_t state_admit_device(const char *function, nvmlDevice_t handle, struct device *device);

/* The state in use, for those who change its MIG side while they hold the lock of mig.lock. */
struct state *state_current(void);
/* Makes the next look read both files, whatever their times say. */
void state_forget(void);

/* What a look-up of that GPU answers: a lost one gives no handle. */
nvmlReturn_t state_handle(const char *function, unsigned int index, nvmlDevice_t *handle);
unsigned int state_index(const struct gpu *gpu);
nvmlDevice_t gpu_handle(const struct gpu *gpu);

/* The path of a file beside the library. */
void state_path(const char *name, char *buffer, size_t size);

/* Every error that a call ends with goes through here, so that the trace can tell it. */
nvmlReturn_t refuse(nvmlReturn_t error);
void trace_begin(const char *function);
void trace_end(void);

/* The convention of most lists: the caller says how many fit, and where they do not, only their number is written. */
nvmlReturn_t claim(unsigned int needed, unsigned int *count, const void *buffer);

/* Copies a string into a caller's buffer as NVML does: all of it, or INSUFFICIENT_SIZE. */
nvmlReturn_t copy_string(const char *value, char *buffer, unsigned int length);

#endif
