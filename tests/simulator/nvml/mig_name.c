/* What a MIG device is called. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "mig.h"

#define FIRST_DRIVER_WITH_UUIDS 470

static uint64_t hash(const char *text, uint64_t seed) {
    uint64_t value = 0xcbf29ce484222325ULL ^ seed; /* FNV-1a */
    for (; *text; text++)
        value = (value ^ (unsigned char)*text) * 0x100000001b3ULL;
    return value;
}

/* Follows from GPU, ids and the serial number, so that it is the same on every run, and another one for an instance created anew. */
void mig_uuid(const struct state *state, const struct device *device, char *buffer, size_t size) {
    const char *gpu = device->gpu->uuid;
    if (atoi(state->driver_version) < FIRST_DRIVER_WITH_UUIDS) {
        snprintf(buffer, size, "MIG-%s/%u/%u", gpu, device->gpu_instance_id, device->compute_instance_id);
        return;
    }
    char seed[160];
    snprintf(seed, sizeof seed, "%s/%u/%u/%u", gpu, device->gpu_instance_id, device->compute_instance_id, device->compute->serial);
    uint64_t high = hash(seed, 0), low = hash(seed, 1);
    snprintf(buffer, size, "MIG-%08x-%04x-5%03x-a%03x-%012llx", (unsigned int)(high >> 32), (unsigned int)(high >> 16) & 0xFFFF,
             (unsigned int)high & 0xFFF, (unsigned int)(low >> 48) & 0xFFF, (unsigned long long)(low & 0xFFFFFFFFFFFFULL));
}

/* "NVIDIA H20 MIG 3g.48gb", and "NVIDIA H20 MIG 1c.3g.48gb" for less than all of it. */
void mig_name(const struct device *device, char *buffer, size_t size) {
    const struct profile *profile = mig_profile_of(device->gpu, device->instance);
    if (device->compute->slices == profile->slices)
        snprintf(buffer, size, "%s MIG %s", device->gpu->name, profile->name);
    else
        snprintf(buffer, size, "%s MIG %uc.%s", device->gpu->name, device->compute->slices, profile->name);
}
