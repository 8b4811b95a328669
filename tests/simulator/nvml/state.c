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

/* A handle is the address of one of these: it stays valid while the state behind it is read anew, as a client expects that holds
 * handles for days. */
struct nvmlDevice_st {
    char unused;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct nvmlDevice_st handles[MAX_GPUS];
static struct state slots[2]; /* the one in use, and the one that the next version of the file is read into */
static struct state *current = &slots[0];
static struct stat read_from; /* the file that `current` was read from */
static unsigned int references;
static char directory[PATH_MAX]; /* where the library lies */

int state_lock(void) {
    pthread_mutex_lock(&mutex);
    return 1;
}

void state_unlock(int *locked) {
    (void)locked;
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

/* Reads the file where it has changed. A file that cannot be understood leaves a running client what it had. */
static nvmlReturn_t refresh(void) {
    char path[PATH_MAX + 16];
    struct stat now;
    state_path("nvml.state", path, sizeof path);
    if (stat(path, &now) != 0)
        return NVML_ERROR_DRIVER_NOT_LOADED;
    if (same_file(&now, &read_from))
        return NVML_SUCCESS;
    struct state *spare = current == &slots[0] ? &slots[1] : &slots[0];
    if (!state_parse(path, spare))
        return NVML_ERROR_UNKNOWN;
    current = spare;
    read_from = now;
    return NVML_SUCCESS;
}

nvmlReturn_t state_initialize(bool without_gpus) {
    nvmlReturn_t read = refresh();
    if (read != NVML_SUCCESS)
        return read;
    if (current->init_error != 0)
        return (nvmlReturn_t)current->init_error;
    if (current->gpu_count == 0 && !without_gpus)
        return NVML_ERROR_GPU_NOT_FOUND;
    references++;
    return NVML_SUCCESS;
}

nvmlReturn_t state_shutdown(void) {
    if (references == 0)
        return NVML_ERROR_UNINITIALIZED;
    references--;
    return NVML_SUCCESS;
}

static nvmlReturn_t injected(const struct faults *faults, const char *function) {
    for (unsigned int i = 0; i < faults->count; i++) {
        const char *name = faults->list[i].function;
        size_t length = strlen(name);
        if (strncmp(name, function, length) != 0)
            continue;
        /* A fault holds for every version of the function: clients differ in which they call. */
        if (function[length] == '\0' || strncmp(function + length, "_v", 2) == 0)
            return faults->list[i].error;
    }
    return NVML_SUCCESS;
}

nvmlReturn_t state_admit(const char *function, const struct state **state) {
    if (references == 0)
        return NVML_ERROR_UNINITIALIZED;
    refresh();
    *state = current;
    return injected(&current->faults, function);
}

static nvmlReturn_t admit_index(const char *function, unsigned int index) {
    /* One that has vanished from the state under a running client is as lost as one marked so. */
    if (index >= current->gpu_count || current->gpus[index].lost)
        return NVML_ERROR_GPU_IS_LOST;
    return injected(&current->gpus[index].faults, function);
}

nvmlReturn_t state_admit_gpu(const char *function, nvmlDevice_t handle, const struct gpu **gpu) {
    if (handle < handles || handle >= handles + MAX_GPUS)
        return NVML_ERROR_INVALID_ARGUMENT;
    unsigned int index = (unsigned int)(handle - handles);
    *gpu = &current->gpus[index];
    return admit_index(function, index);
}

nvmlReturn_t state_handle(const char *function, unsigned int index, nvmlDevice_t *handle) {
    nvmlReturn_t refused = admit_index(function, index);
    if (refused == NVML_SUCCESS)
        *handle = &handles[index];
    return refused;
}

unsigned int state_index(const struct gpu *gpu) {
    return (unsigned int)(gpu - current->gpus);
}

nvmlReturn_t copy_string(const char *value, char *buffer, unsigned int length) {
    REQUIRE(buffer);
    size_t needed = strlen(value) + 1;
    if (length < needed)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memcpy(buffer, value, needed);
    return NVML_SUCCESS;
}

nvmlReturn_t claim(unsigned int needed, unsigned int *count, const void *buffer) {
    REQUIRE(count);
    unsigned int room = *count;
    *count = needed;
    if (room < needed)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    REQUIRE(buffer || needed == 0);
    return NVML_SUCCESS;
}
