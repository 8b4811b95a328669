/* Switching MIG on and off, and what else changes it: the reset of a GPU and the boot of the machine.
 *
 * nvmlDeviceSetMigMode notes the mode as pending and tries to activate it; its own result says only whether that was noted, the
 * activation status whether it took effect. Where the GPU is in use the status is IN_USE. Hopper and later switch at once; before, a
 * reset is due: NVML does it itself on bare metal, and answers RESET_REQUIRED where it may not (pass-through). */
#define _GNU_SOURCE
#include <unistd.h>

#include "mig.h"

/* Nobody else may have the GPU open: not with a context, and not as a monitor either. */
static bool in_use(const struct state *state, const struct gpu *gpu) {
    for (unsigned int i = 0; i < state->holder_count; i++)
        if (state->holders[i] != (unsigned int)getpid())
            return true;
    return mig_busy(gpu, NVML_NO_INSTANCE, NVML_NO_INSTANCE);
}

static nvmlReturn_t activate(const struct state *state, struct gpu *gpu) {
    if (gpu->mig_mode == gpu->mig_pending)
        return NVML_SUCCESS;
    /* That instances are in the way is assumed; destroying them on the way would be worse to find out about. */
    if (in_use(state, gpu) || mig_has_instances(gpu))
        return NVML_ERROR_IN_USE;
    if (gpu->architecture < ARCHITECTURE_HOPPER && state->reset != RESET_BY_NVML)
        return NVML_ERROR_RESET_REQUIRED;
    gpu->mig_mode = gpu->mig_pending;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceSetMigMode(nvmlDevice_t device, unsigned int mode, nvmlReturn_t *status) {
    ENTER_CHANGE();
    const struct gpu *found;
    ADMIT(state_admit_gpu(__func__, device, &found));
    if (!found->mig_capable)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    REQUIRE(mode <= NVML_DEVICE_MIG_ENABLE && status);
    REQUIRE_ROOT();
    struct gpu *gpu = &state_current()->gpus[state_index(found)];
    gpu->mig_pending = mode;
    *status = activate(state, gpu);
    return mig_write();
}

static void forget_instances(struct gpu *gpu) {
    for (unsigned int i = 0; i < MAX_INSTANCES; i++)
        gpu->instances[i] = (struct gpu_instance){0};
}

static bool is_among(const struct gpu *gpu, const nvmlDevice_t *devices, unsigned int count) {
    for (unsigned int i = 0; i < count; i++)
        if (devices[i] == gpu_handle(gpu))
            return true;
    return false;
}

/* GPUs that NVLink couples go only together. */
static bool leaves_peers(const struct state *state, const nvmlDevice_t *devices, unsigned int count) {
    bool one = false, other = false;
    for (unsigned int i = 0; i < state->gpu_count; i++)
        if (state->gpus[i].nvlink)
            *(is_among(&state->gpus[i], devices, count) ? &one : &other) = true;
    return one && other;
}

static nvmlReturn_t may_be_reset(const struct state *state, const nvmlDevice_t *devices, unsigned int count) {
    for (unsigned int i = 0; i < count; i++) {
        const struct gpu *gpu;
        ADMIT(state_admit_gpu("nvmlSimulatorReset", devices[i], &gpu));
        if (in_use(state, gpu))
            return refuse(NVML_ERROR_IN_USE);
    }
    return leaves_peers(state, devices, count) ? refuse(NVML_ERROR_INVALID_STATE) : NVML_SUCCESS;
}

/* Not NVML's: nvidia-smi --gpu-reset, which the real one does past NVML. All of them or none; they come back without instances and in
 * the pending mode. INVALID_STATE stands for the refusal that names NVLink. */
NVML_API nvmlReturn_t nvmlSimulatorReset(const nvmlDevice_t *devices, unsigned int count) {
    ENTER_CHANGE();
    REQUIRE(devices && count > 0);
    REQUIRE_ROOT();
    if (state->reset == RESET_BY_REBOOT)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    ADMIT(may_be_reset(state, devices, count));
    struct state *machine = state_current();
    for (unsigned int i = 0; i < machine->gpu_count; i++) {
        struct gpu *gpu = &machine->gpus[i];
        if (!is_among(gpu, devices, count))
            continue;
        forget_instances(gpu);
        gpu->mig_mode = gpu->mig_pending;
    }
    return mig_write();
}

/* Not NVML's: the machine boots. Before Hopper the mode is kept in the card, pending or not; later ones come up without MIG. */
NVML_API nvmlReturn_t nvmlSimulatorBoot(void) {
    ENTER_CHANGE();
    struct state *machine = state_current();
    for (unsigned int i = 0; i < state->gpu_count; i++) {
        struct gpu *gpu = &machine->gpus[i];
        forget_instances(gpu);
        if (gpu->architecture >= ARCHITECTURE_HOPPER)
            gpu->mig_pending = 0;
        gpu->mig_mode = gpu->mig_pending;
    }
    return mig_write();
}
