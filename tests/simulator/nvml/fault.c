/* Injected faults, and the trace of calls. Both for tests: the first to make a call fail, the second to know which calls there are.
 *
 * Where a file nvml.trace lies beside the library, each call adds a line "function result". */
#include "fault.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_COUNTERS (4 * MAX_FAULTS)

static struct {
    const char *function; /* NULL: no call is under way */
    nvmlReturn_t result;
} call;

nvmlReturn_t refuse(nvmlReturn_t error) {
    call.result = error;
    return error;
}

void trace_begin(const char *function) {
    call.function = function;
    call.result = NVML_SUCCESS;
}

void trace_end(void) {
    if (!call.function)
        return;
    char path[PATH_MAX + 16], line[96];
    state_path("nvml.trace", path, sizeof path);
    int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (file >= 0) {
        int length = snprintf(line, sizeof line, "%s %d\n", call.function, call.result);
        ssize_t written = write(file, line, (size_t)length); /* whole lines, also of several processes */
        (void)written;
        close(file);
    }
    call.function = NULL;
}

/* A fault holds for every version of the function: clients differ in which they call. */
static bool concerns(const struct fault *fault, const char *function) {
    size_t length = strlen(fault->function);
    if (strncmp(fault->function, function, length) != 0)
        return false;
    return function[length] == '\0' || strncmp(function + length, "_v", 2) == 0;
}

/* How often a function with a fault of a certain call was called, since the state has that fault. */
static struct counter {
    struct fault fault;
    unsigned int scope, calls;
} counters[MAX_COUNTERS];

static bool same_fault(const struct fault *a, const struct fault *b) {
    return a->nth == b->nth && a->error == b->error && strcmp(a->function, b->function) == 0;
}

static const struct faults *faults_of(const struct state *state, unsigned int scope) {
    static const struct faults none;
    if (scope == FAULTS_OF_NODE)
        return &state->faults;
    return scope < state->gpu_count ? &state->gpus[scope].faults : &none;
}

void fault_keep_counts(const struct state *state) {
    for (unsigned int i = 0; i < MAX_COUNTERS; i++) {
        const struct faults *faults = faults_of(state, counters[i].scope);
        bool stays = false;
        for (unsigned int j = 0; j < faults->count; j++)
            stays = stays || same_fault(&faults->list[j], &counters[i].fault);
        if (!stays)
            counters[i] = (struct counter){0};
    }
}

static struct counter *counter_of(const struct fault *fault, unsigned int scope) {
    struct counter *unused = NULL;
    for (unsigned int i = 0; i < MAX_COUNTERS; i++) {
        struct counter *counter = &counters[i];
        if (counter->calls > 0 && counter->scope == scope && same_fault(&counter->fault, fault))
            return counter;
        if (counter->calls == 0 && !unused)
            unused = counter;
    }
    if (unused)
        *unused = (struct counter){.fault = *fault, .scope = scope};
    return unused;
}

static bool strikes(const struct fault *fault, unsigned int scope) {
    if (fault->nth == 0)
        return true;
    struct counter *counter = counter_of(fault, scope);
    return counter && ++counter->calls == fault->nth;
}

nvmlReturn_t fault_injected(const struct state *state, unsigned int scope, const char *function) {
    const struct faults *faults = faults_of(state, scope);
    nvmlReturn_t error = NVML_SUCCESS;
    for (unsigned int i = 0; i < faults->count; i++) {
        const struct fault *fault = &faults->list[i];
        if (!concerns(fault, function) || !strikes(fault, scope))
            continue; /* each counts, also after one has struck */
        if (fault->error == FAULT_KILL)
            kill(getpid(), SIGKILL);
        if (error == NVML_SUCCESS)
            error = (nvmlReturn_t)fault->error;
    }
    return error == NVML_SUCCESS ? error : refuse(error);
}
