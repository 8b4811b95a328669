/* The MIG side: instances, the rules for them, and the file that keeps them. */
#ifndef MIG_H
#define MIG_H

#include "state.h"

#define MIG_FILE "mig.state"

/* Of a function that changes something in MIG: it has the node's file for itself until it returns. */
#define ENTER_CHANGE()                                                                             \
    __attribute__((cleanup(mig_unlock))) int changing __attribute__((unused)) = mig_lock();        \
    ENTER()

/* Of GPU instances and compute instances one can only ask and change something as root, their Info apart. */
#define REQUIRE_ROOT()                                                                             \
    do {                                                                                           \
        if (!state->privileged)                                                                    \
            return refuse(NVML_ERROR_NO_PERMISSION);                                               \
    } while (0)

#define ENTER_GPU_INSTANCE(handle)                                                                 \
    ENTER();                                                                                       \
    struct device of;                                                                              \
    ADMIT(mig_admit_gpu_instance(__func__, handle, &of))

/* mig_file.c: the file */
int mig_lock(void);
void mig_unlock(int *lock);
bool mig_read(struct state *state);
nvmlReturn_t mig_write(void);

/* mig_handle.c: handles, which stay the same for the same ids */
bool mig_is_device(nvmlDevice_t handle);
nvmlReturn_t mig_admit_device(const char *function, nvmlDevice_t handle, struct device *device);
nvmlReturn_t mig_admit_gpu_instance(const char *function, nvmlGpuInstance_t handle, struct device *device);
nvmlReturn_t mig_admit_compute_instance(const char *function, nvmlComputeInstance_t handle, struct device *device);
nvmlDevice_t mig_device_handle(const struct gpu *gpu, unsigned int instance, unsigned int compute);
nvmlGpuInstance_t mig_gpu_instance_handle(const struct gpu *gpu, unsigned int instance);
nvmlComputeInstance_t mig_compute_instance_handle(const struct gpu *gpu, unsigned int instance, unsigned int compute);

/* mig_rules.c: what the hardware allows */
const struct profile *mig_profile_by_id(const struct gpu *gpu, unsigned int id);
const struct profile *mig_profile_of(const struct gpu *gpu, const struct gpu_instance *instance);
unsigned int mig_instance_id(const struct gpu *gpu, const struct profile *profile, unsigned int start);
bool mig_fits(const struct gpu *gpu, const struct profile *profile, unsigned int start);
unsigned int mig_remaining(const struct gpu *gpu, const struct profile *profile);
unsigned int mig_compute_slices(const struct gpu *gpu, const struct gpu_instance *instance, unsigned int question);
unsigned int mig_compute_question(unsigned int slices);
unsigned int mig_compute_starts(const struct gpu *gpu, const struct gpu_instance *instance, unsigned int slices, unsigned int *starts);
bool mig_compute_fits(const struct gpu_instance *instance, unsigned int slices, unsigned int start);
bool mig_busy(const struct gpu *gpu, unsigned int instance, unsigned int compute);
bool mig_has_instances(const struct gpu *gpu);

/* mig_name.c */
#define UUID_SIZE 128
void mig_uuid(const struct state *state, const struct device *device, char *buffer, size_t size);
void mig_name(const struct device *device, char *buffer, size_t size);

#endif
