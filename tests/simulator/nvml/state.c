/* The one lock, the current state, and what all calls have in common. */
#define _GNU_SOURCE
#include "state.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fault.h"
#include "mig.h"

/* A handle is the address of one of these: it stays valid while the state behind it is read anew, as a client expects that holds
 * handles for days. */
struct nvmlDevice_st {
    char unused;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct nvmlDevice_st handles[MAX_GPUS];
static struct state slots[2]; /* the one in use, and the one that the next version of the file is read into */
static struct state *current = &slots[0];
static struct stat read_from[2]; /* the files that `current` was read from: nvml.state and mig.state */
static unsigned int references;
static char directory[PATH_MAX]; /* where the library lies */

int state_lock(const char *function) {
    pthread_mutex_lock(&mutex);
    trace_begin(function);
    return 1;
}

void state_unlock(int *locked) {
    (void)locked;
    trace_end();
    pthread_mutex_unlock(&mutex);
}

/* At load: the path that the library was loaded by may be relative, and a client may change its working directory later. */
__attribute__((constructor)) static void find_directory(void) {
    Dl_info info;
    char path[PATH_MAX];
    if (!dladdr(handles, &info) || !info.dli_fname)
        return;
    snprintf(path, sizeof path, "%s", info.dli_fname);
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    if (!realpath(slash ? path : ".", directory))
        directory[0] = '\0';
}

void state_path(const char *name, char *buffer, size_t size) {
    snprintf(buffer, size, "%s/%s", directory, name);
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A file that is not there looks like an empty one of its own: nothing but zeros. */
static bool look_at(const char *name, struct stat *now) {
    char path[PATH_MAX + 16];
    *now = (struct stat){0};
    state_path(name, path, sizeof path);
    return stat(path, now) == 0;
}

/* Reads the files where they have changed. Files that cannot be understood leave a running client what it had. */
static nvmlReturn_t refresh(void) {
    struct stat now[2];
    if (!look_at("nvml.state", &now[0]))
        return NVML_ERROR_DRIVER_NOT_LOADED;
    look_at(MIG_FILE, &now[1]);
    if (same_file(&now[0], &read_from[0]) && same_file(&now[1], &read_from[1]))
        return NVML_SUCCESS;
    char path[PATH_MAX + 16];
    state_path("nvml.state", path, sizeof path);
    struct state *spare = current == &slots[0] ? &slots[1] : &slots[0];
    if (!state_parse(path, spare) || !mig_read(spare))
        return NVML_ERROR_UNKNOWN;
    current = spare;
    memcpy(read_from, now, sizeof now);
    fault_keep_counts(current);
    return NVML_SUCCESS;
}

struct state *state_current(void) {
    return current;
}

void state_forget(void) {
    memset(read_from, 0, sizeof read_from);
}

nvmlReturn_t state_initialize(bool without_gpus) {
    nvmlReturn_t read = refresh();
    if (read != NVML_SUCCESS)
        return refuse(read);
    if (current->init_error != 0)
        return refuse((nvmlReturn_t)current->init_error);
    if (current->gpu_count == 0 && !without_gpus)
        return refuse(NVML_ERROR_GPU_NOT_FOUND);
    references++;
    return NVML_SUCCESS;
}

nvmlReturn_t state_shutdown(void) {
    if (references == 0)
        return refuse(NVML_ERROR_UNINITIALIZED);
    references--;
    return NVML_SUCCESS;
}

nvmlReturn_t state_admit(const char *function, const struct state **state) {
    if (references == 0)
        return refuse(NVML_ERROR_UNINITIALIZED);
    refresh();
    *state = current;
    return fault_injected(current, FAULTS_OF_NODE, function);
}

nvmlReturn_t state_admit_index(const char *function, unsigned int index) {
    /* One that has vanished from the state under a running client is as lost as one marked so. */
    if (index >= current->gpu_count || current->gpus[index].lost)
        return refuse(NVML_ERROR_GPU_IS_LOST);
    return fault_injected(current, index, function);
}

nvmlReturn_t state_admit_device(const char *function, nvmlDevice_t handle, struct device *device) {
    *device = (struct device){.gpu_instance_id = NVML_NO_INSTANCE, .compute_instance_id = NVML_NO_INSTANCE};
    if (mig_is_device(handle))
        return mig_admit_device(function, handle, device);
    if (handle < handles || handle >= handles + MAX_GPUS)
        return refuse(NVML_ERROR_INVALID_ARGUMENT);
    unsigned int index = (unsigned int)(handle - handles);
    device->gpu = &current->gpus[index];
    return state_admit_index(function, index);
}

/* Of a MIG device hardly anything but its name, memory and processes can be asked. That the answer is NOT_SUPPORTED for all else is
 * assumed: seen in real output is only that of the utilization. */
nvmlReturn_t state_admit_gpu(const char *function, nvmlDevice_t handle, const struct gpu **gpu) {
    struct device device;
    nvmlReturn_t refused = state_admit_device(function, handle, &device);
    *gpu = device.gpu;
    if (refused == NVML_SUCCESS && device.compute)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    return refused;
}

nvmlReturn_t state_handle(const char *function, unsigned int index, nvmlDevice_t *handle) {
    nvmlReturn_t refused = state_admit_index(function, index);
    if (refused == NVML_SUCCESS)
        *handle = &handles[index];
    return refused;
}

unsigned int state_index(const struct gpu *gpu) {
    return (unsigned int)(gpu - current->gpus);
}

nvmlDevice_t gpu_handle(const struct gpu *gpu) {
    return &handles[state_index(gpu)];
}

nvmlReturn_t copy_string(const char *value, char *buffer, unsigned int length) {
    REQUIRE(buffer);
    size_t needed = strlen(value) + 1;
    if (length < needed)
        return refuse(NVML_ERROR_INSUFFICIENT_SIZE);
    memcpy(buffer, value, needed);
    return NVML_SUCCESS;
}

nvmlReturn_t claim(unsigned int needed, unsigned int *count, const void *buffer) {
    REQUIRE(count);
    unsigned int room = *count;
    *count = needed;
    if (room < needed)
        return refuse(NVML_ERROR_INSUFFICIENT_SIZE);
    REQUIRE(buffer || needed == 0);
    return NVML_SUCCESS;
}
