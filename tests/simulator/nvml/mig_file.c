/* mig.state: the mode of each GPU and its instances. The library writes it, and whoever plays the machine's reset and boot.
 *
 *     serial=3
 *     [gpu]
 *     uuid=GPU-...
 *     mode=1
 *     pending=1
 *     instance=2 3g.48gb 4      id, profile, start
 *     compute=2 0 3 0 3         GPU instance, id, slices, start, serial number
 *
 * A change takes the lock of mig.lock, reads, and puts a new file in the place of the old: a reader never sees half of one, and a
 * writer that is killed leaves the old one. A GPU that is not in it is as nvml.state says, without instances. */
#define _GNU_SOURCE
#include "mig.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int mig_lock(void) {
    char path[PATH_MAX + 16];
    state_path("mig.lock", path, sizeof path);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock >= 0)
        while (flock(lock, LOCK_EX) != 0 && errno == EINTR)
            continue;
    return lock;
}

void mig_unlock(int *lock) {
    if (*lock >= 0)
        close(*lock);
}

static struct gpu *find_gpu(struct state *state, const char *uuid) {
    for (unsigned int i = 0; i < state->gpu_count; i++)
        if (strcmp(state->gpus[i].uuid, uuid) == 0)
            return &state->gpus[i];
    return NULL;
}

static bool read_instance(struct gpu *gpu, const char *value) {
    unsigned int id, start;
    char name[32];
    if (sscanf(value, "%u %31s %u", &id, name, &start) != 3 || id >= MAX_INSTANCES)
        return false;
    for (unsigned int i = 0; i < gpu->profile_count; i++) {
        if (strcmp(gpu->profiles[i].name, name) != 0)
            continue;
        gpu->instances[id] = (struct gpu_instance){.exists = true, .profile = i, .start = start};
        return true;
    }
    return false;
}

static bool read_compute(struct gpu *gpu, const char *value) {
    unsigned int instance, id;
    struct compute_instance compute = {.exists = true};
    if (sscanf(value, "%u %u %u %u %u", &instance, &id, &compute.slices, &compute.start, &compute.serial) != 5)
        return false;
    if (instance >= MAX_INSTANCES || id >= MAX_COMPUTE || !gpu->instances[instance].exists)
        return false;
    gpu->instances[instance].compute[id] = compute;
    return true;
}

static bool read_line(struct state *state, struct gpu **gpu, char *line) {
    static struct gpu unknown; /* of a card that the node no longer has */
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "[gpu]") == 0)
        return true;
    char *value = strchr(line, '=');
    if (!value)
        return false;
    *value++ = '\0';
    if (strcmp(line, "serial") == 0)
        return sscanf(value, "%u", &state->mig_serial) == 1;
    if (strcmp(line, "uuid") == 0) {
        *gpu = find_gpu(state, value);
        if (!*gpu)
            *gpu = &unknown;
        return true;
    }
    if (!*gpu)
        return false;
    if (strcmp(line, "mode") == 0)
        return sscanf(value, "%u", &(*gpu)->mig_mode) == 1;
    if (strcmp(line, "pending") == 0)
        return sscanf(value, "%u", &(*gpu)->mig_pending) == 1;
    if (*gpu == &unknown)
        return true;
    if (strcmp(line, "instance") == 0)
        return read_instance(*gpu, value);
    return strcmp(line, "compute") == 0 && read_compute(*gpu, value);
}

bool mig_read(struct state *state) {
    char path[PATH_MAX + 16];
    state_path(MIG_FILE, path, sizeof path);
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT;
    char *line = NULL;
    size_t size = 0;
    struct gpu *gpu = NULL;
    bool ok = true;
    while (ok && getline(&line, &size, file) > 0)
        ok = read_line(state, &gpu, line);
    free(line);
    fclose(file);
    return ok;
}

static void print_gpu(FILE *file, const struct gpu *gpu) {
    fprintf(file, "[gpu]\nuuid=%s\nmode=%u\npending=%u\n", gpu->uuid, gpu->mig_mode, gpu->mig_pending);
    for (unsigned int i = 0; i < MAX_INSTANCES; i++) {
        const struct gpu_instance *instance = &gpu->instances[i];
        if (!instance->exists)
            continue;
        fprintf(file, "instance=%u %s %u\n", i, mig_profile_of(gpu, instance)->name, instance->start);
        for (unsigned int j = 0; j < MAX_COMPUTE; j++) {
            const struct compute_instance *compute = &instance->compute[j];
            if (compute->exists)
                fprintf(file, "compute=%u %u %u %u %u\n", i, j, compute->slices, compute->start, compute->serial);
        }
    }
}

nvmlReturn_t mig_write(void) {
    char path[PATH_MAX + 16], temporary[PATH_MAX + 48];
    state_path(MIG_FILE, path, sizeof path);
    snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    const struct state *state = state_current();
    state_forget(); /* what stands in the file counts, whether it can be written or not */
    FILE *file = fopen(temporary, "we");
    if (!file)
        return refuse(errno == EACCES || errno == EROFS ? NVML_ERROR_NO_PERMISSION : NVML_ERROR_UNKNOWN);
    fprintf(file, "serial=%u\n", state->mig_serial);
    for (unsigned int i = 0; i < state->gpu_count; i++)
        if (state->gpus[i].mig_capable)
            print_gpu(file, &state->gpus[i]);
    bool whole = !ferror(file);
    if (fclose(file) == 0 && whole && rename(temporary, path) == 0)
        return NVML_SUCCESS;
    unlink(temporary);
    return refuse(NVML_ERROR_UNKNOWN);
}
