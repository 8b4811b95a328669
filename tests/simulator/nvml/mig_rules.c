/* What the hardware allows. Places come from the card's table of profiles; all else here is said where it is assumed. */
#include <string.h>

#include "mig.h"

const struct profile *mig_profile_by_id(const struct gpu *gpu, unsigned int id) {
    for (unsigned int i = 0; i < gpu->profile_count; i++)
        if (gpu->profiles[i].id == id)
            return &gpu->profiles[i];
    return NULL;
}

const struct profile *mig_profile_of(const struct gpu *gpu, const struct gpu_instance *instance) {
    return &gpu->profiles[instance->profile];
}

/* The id follows from size and place: 0 is the whole card, 1 and 2 its halves, 3 to 6 the quarters, 7 to 14 the eighths. Fits the ids
 * seen with places in published output (13 for 1g at 6, 5 for 2g at 4, 1 for 4g at 0); that it is so for all is assumed. */
unsigned int mig_instance_id(const struct gpu *gpu, const struct profile *profile, unsigned int start) {
    return gpu->mig_units / profile->placement_size - 1 + start / profile->placement_size;
}

/* Which media engines a profile holds, by its name: "+me" those that a card has once, "+me.all" every one, "-me" none. */
enum media { MEDIA_SHARE, MEDIA_OWN, MEDIA_ALL, MEDIA_NONE };

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static enum media media_of(const struct profile *profile) {
    if (ends_with(profile->name, "+me.all"))
        return MEDIA_ALL;
    if (ends_with(profile->name, "+me"))
        return MEDIA_OWN;
    return ends_with(profile->name, "-me") ? MEDIA_NONE : MEDIA_SHARE;
}

/* Two instances side by side, as far as media engines go. What "+me.all" leaves is inferred from its name. */
static bool media_agree(enum media one, enum media other) {
    if (one == MEDIA_ALL || other == MEDIA_ALL)
        return one == MEDIA_NONE || other == MEDIA_NONE;
    return one != MEDIA_OWN || other != MEDIA_OWN;
}

static bool agrees(const struct gpu *gpu, const struct profile *profile, unsigned int *alike) {
    *alike = 0;
    for (unsigned int i = 0; i < MAX_INSTANCES; i++) {
        const struct gpu_instance *other = &gpu->instances[i];
        if (!other->exists)
            continue;
        *alike += mig_profile_of(gpu, other) == profile;
        if (!media_agree(media_of(profile), media_of(mig_profile_of(gpu, other))))
            return false;
    }
    return *alike < profile->instances;
}

static bool is_free(const struct gpu *gpu, unsigned int start, unsigned int size) {
    for (unsigned int i = 0; i < MAX_INSTANCES; i++) {
        const struct gpu_instance *other = &gpu->instances[i];
        if (!other->exists)
            continue;
        unsigned int other_size = mig_profile_of(gpu, other)->placement_size;
        if (start < other->start + other_size && other->start < start + size)
            return false;
    }
    return true;
}

bool mig_fits(const struct gpu *gpu, const struct profile *profile, unsigned int start) {
    unsigned int alike;
    return agrees(gpu, profile, &alike) && is_free(gpu, start, profile->placement_size);
}

unsigned int mig_remaining(const struct gpu *gpu, const struct profile *profile) {
    unsigned int alike, free = 0, end = 0;
    if (!agrees(gpu, profile, &alike))
        return 0;
    for (unsigned int i = 0; i < profile->placement_count; i++) {
        unsigned int start = profile->starts[i];
        if (start < end || !is_free(gpu, start, profile->placement_size))
            continue;
        end = start + profile->placement_size;
        free++;
    }
    return free < profile->instances - alike ? free : profile->instances - alike;
}

/* Slices by NVML_COMPUTE_INSTANCE_PROFILE_*, the number that is asked with; 0: none that a card here has. */
static const unsigned int SLICES[] = {1, 2, 3, 4, 7, 0, 0, 0, 0};

unsigned int mig_compute_question(unsigned int slices) {
    for (unsigned int i = 0; i < sizeof SLICES / sizeof *SLICES; i++)
        if (SLICES[i] == slices)
            return i;
    return NVML_NO_INSTANCE;
}

/* The slices of the compute instance profile asked for, 0 where the GPU instance has none such. As nvidia-smi mig -lcip lists them:
 * 1, 2, 3, 4 and 7 in a 7g, 1, 2 and 4 in a 4g, up to all of them in the smaller ones. */
unsigned int mig_compute_slices(const struct gpu *gpu, const struct gpu_instance *instance, unsigned int question) {
    unsigned int slices = question < sizeof SLICES / sizeof *SLICES ? SLICES[question] : 0;
    unsigned int whole = mig_profile_of(gpu, instance)->slices;
    return slices > whole || (whole == 4 && slices == 3) ? 0 : slices;
}

/* Compute instances begin at multiples of their size rounded up to a power of two. Fits how many of each fit by -lcip. */
unsigned int mig_compute_starts(const struct gpu *gpu, const struct gpu_instance *instance, unsigned int slices, unsigned int *starts) {
    unsigned int step = 1, count = 0;
    while (step < slices)
        step *= 2;
    for (unsigned int start = 0; start + slices <= mig_profile_of(gpu, instance)->slices; start += step)
        starts[count++] = start;
    return count;
}

bool mig_compute_fits(const struct gpu_instance *instance, unsigned int slices, unsigned int start) {
    for (unsigned int i = 0; i < MAX_COMPUTE; i++) {
        const struct compute_instance *other = &instance->compute[i];
        if (other->exists && start < other->start + other->slices && other->start < start + slices)
            return false;
    }
    return true;
}

/* Whether a process runs there; NVML_NO_INSTANCE stands for any. */
bool mig_busy(const struct gpu *gpu, unsigned int instance, unsigned int compute) {
    for (unsigned int i = 0; i < gpu->process_count; i++) {
        const struct process *process = &gpu->processes[i];
        if ((instance == NVML_NO_INSTANCE || process->gpu_instance == instance) &&
            (compute == NVML_NO_INSTANCE || process->compute_instance == compute))
            return true;
    }
    return false;
}

bool mig_has_instances(const struct gpu *gpu) {
    for (unsigned int i = 0; i < MAX_INSTANCES; i++)
        if (gpu->instances[i].exists)
            return true;
    return false;
}
