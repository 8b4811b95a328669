/* Reads nvml.state: key=value lines, a "[gpu]" line before those of each GPU. A key it does not know is an error, so that a slip in
 * the writer shows at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

struct key {
    const char *name;
    size_t offset;
    size_t size; /* of the character array, or 0 for an unsigned int */
};

#define TEXT(type, field) {#field, offsetof(struct type, field), sizeof(((struct type *)0)->field)}
#define NUMBER(type, field) {#field, offsetof(struct type, field), 0}

static const struct key NODE_KEYS[] = {
    TEXT(state, driver_version),
    TEXT(state, nvml_version),
    NUMBER(state, cuda_driver_version),
    NUMBER(state, init_error),
    NUMBER(state, privileged),
    NUMBER(state, mig_independent),
    NUMBER(state, passthrough),
    NUMBER(state, reset),
    {0},
};

static const struct key GPU_KEYS[] = {
    TEXT(gpu, name),
    TEXT(gpu, uuid),
    TEXT(gpu, serial),
    TEXT(gpu, bus_id),
    NUMBER(gpu, minor_number),
    NUMBER(gpu, brand),
    NUMBER(gpu, architecture),
    NUMBER(gpu, compute_major),
    NUMBER(gpu, compute_minor),
    NUMBER(gpu, pci_device_id),
    NUMBER(gpu, pci_subsystem_id),
    NUMBER(gpu, cores),
    NUMBER(gpu, multiprocessors),
    NUMBER(gpu, bus_width),
    NUMBER(gpu, pcie_generation),
    NUMBER(gpu, memory_total_mib),
    NUMBER(gpu, memory_reserved_mib),
    NUMBER(gpu, memory_other_mib),
    NUMBER(gpu, bar1_total_mib),
    NUMBER(gpu, power_default_mw),
    NUMBER(gpu, power_min_mw),
    NUMBER(gpu, power_max_mw),
    NUMBER(gpu, power_draw_mw),
    NUMBER(gpu, clock_graphics_max),
    NUMBER(gpu, clock_memory_max),
    NUMBER(gpu, clock_video_max),
    NUMBER(gpu, clock_graphics),
    NUMBER(gpu, clock_memory),
    NUMBER(gpu, utilization_gpu),
    NUMBER(gpu, utilization_memory),
    NUMBER(gpu, temperature),
    NUMBER(gpu, performance_state),
    NUMBER(gpu, persistence_mode),
    NUMBER(gpu, compute_mode),
    NUMBER(gpu, mig_capable),
    NUMBER(gpu, mig_mode),
    NUMBER(gpu, mig_pending),
    NUMBER(gpu, mig_max_devices),
    NUMBER(gpu, mig_units),
    NUMBER(gpu, nvlink),
    NUMBER(gpu, lost),
    NUMBER(gpu, xid),
    NUMBER(gpu, xid_count),
    {0},
};

static bool parse_number(const char *text, unsigned int *number) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *number = (unsigned int)value;
    return end != text && *end == '\0' && value == *number;
}

static bool set_field(const struct key *keys, void *target, const char *name, const char *value) {
    for (const struct key *key = keys; key->name; key++) {
        if (strcmp(key->name, name) != 0)
            continue;
        char *field = (char *)target + key->offset;
        if (key->size == 0)
            return parse_number(value, (unsigned int *)(void *)field);
        size_t length = strlen(value);
        if (length >= key->size)
            return false;
        memcpy(field, value, length + 1);
        return true;
    }
    return false;
}

/* fault=nvmlDeviceGetName 999, and nvmlDeviceGetName@3 for the third call only; KILL instead of the error kills the caller. */
static bool add_fault(struct faults *faults, const char *value) {
    char error[16];
    if (faults->count == MAX_FAULTS)
        return false;
    struct fault *fault = &faults->list[faults->count++];
    if (sscanf(value, "%63s %15s", fault->function, error) != 2)
        return false;
    char *nth = strchr(fault->function, '@');
    if (nth) {
        *nth++ = '\0';
        if (!parse_number(nth, &fault->nth) || fault->nth == 0)
            return false;
    }
    if (strcmp(error, "KILL") == 0) {
        fault->error = FAULT_KILL;
        return true;
    }
    unsigned int number;
    bool ok = parse_number(error, &number);
    fault->error = (int)number;
    return ok;
}

/* process=compute 4242 4621, in MiB, or - where the driver does not know; on a MIG device its GPU and compute instance follow */
static bool add_process(struct gpu *gpu, const char *value) {
    char type[16], used[24];
    if (gpu->process_count == MAX_PROCESSES)
        return false;
    struct process *process = &gpu->processes[gpu->process_count++];
    process->gpu_instance = process->compute_instance = NVML_NO_INSTANCE;
    int read = sscanf(value, "%15s %u %23s %u %u", type, &process->pid, used, &process->gpu_instance, &process->compute_instance);
    if (read != 3 && read != 5)
        return false;
    if (strcmp(type, "compute") == 0)
        process->type = PROCESS_COMPUTE;
    else if (strcmp(type, "graphics") == 0)
        process->type = PROCESS_GRAPHICS;
    else if (strcmp(type, "mps") == 0)
        process->type = PROCESS_MPS;
    else
        return false;
    unsigned int mib = 0;
    bool known = strcmp(used, "-") != 0;
    if (known && !parse_number(used, &mib))
        return false;
    process->used = known ? mib * MIB : (unsigned long long)NVML_VALUE_NOT_AVAILABLE;
    return true;
}

/* profile=NAME QUESTION ID SLICES SM MEMORY_MIB INSTANCES COPY DECODERS JPEG OFA SIZE START,START,... */
static bool add_profile(struct gpu *gpu, const char *value) {
    char starts[128];
    if (gpu->profile_count == MAX_PROFILES)
        return false;
    struct profile *p = &gpu->profiles[gpu->profile_count++];
    int read = sscanf(value, "%31s %u %u %u %u %u %u %u %u %u %u %u %127s", p->name, &p->question, &p->id, &p->slices,
                      &p->multiprocessors, &p->memory_mib, &p->instances, &p->copy_engines, &p->decoders, &p->jpeg, &p->ofa,
                      &p->placement_size, starts);
    if (read != 13)
        return false;
    char *rest = NULL;
    for (char *start = strtok_r(starts, ",", &rest); start; start = strtok_r(NULL, ",", &rest))
        if (p->placement_count == MAX_PLACEMENTS || !parse_number(start, &p->starts[p->placement_count++]))
            return false;
    return true;
}

static bool parse_gpu_line(struct gpu *gpu, const char *name, const char *value) {
    if (strcmp(name, "process") == 0)
        return add_process(gpu, value);
    if (strcmp(name, "profile") == 0)
        return add_profile(gpu, value);
    if (strcmp(name, "fault") == 0)
        return add_fault(&gpu->faults, value);
    if (!set_field(GPU_KEYS, gpu, name, value))
        return false;
    if (strcmp(name, "bus_id") == 0)
        return sscanf(value, "%x:%x:%x.0", &gpu->domain, &gpu->bus, &gpu->device) == 3;
    return true;
}

static bool parse_line(struct state *state, char *line) {
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "[gpu]") == 0)
        return state->gpu_count++ < MAX_GPUS;
    char *equals = strchr(line, '=');
    if (!equals)
        return false;
    *equals = '\0';
    const char *value = equals + 1;
    if (state->gpu_count > 0)
        return parse_gpu_line(&state->gpus[state->gpu_count - 1], line, value);
    if (strcmp(line, "fault") == 0)
        return add_fault(&state->faults, value);
    if (strcmp(line, "holder") == 0)
        return state->holder_count < MAX_HOLDERS && parse_number(value, &state->holders[state->holder_count++]);
    return set_field(NODE_KEYS, state, line, value);
}

bool state_parse(const char *path, struct state *state) {
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    memset(state, 0, sizeof *state);
    char *line = NULL;
    size_t size = 0;
    bool ok = true;
    while (ok && getline(&line, &size, file) > 0)
        ok = parse_line(state, line);
    free(line);
    fclose(file);
    return ok;
}
