/* Memory errors, of which there are none, and the fields by number. */
#include <time.h>

#include "state.h"

NVML_API nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, nvmlEnableState_t *now, nvmlEnableState_t *pending) {
    ENTER_GPU(device);
    REQUIRE(now && pending);
    *now = *pending = 1; /* the totals of the cards are those with ECC on */
    return NVML_SUCCESS;
}

GPU_NUMBER(nvmlDeviceGetDefaultEccMode, nvmlEnableState_t, 1)

NVML_API nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, unsigned int type, unsigned int counter,
                                                  unsigned long long *count) {
    ENTER_GPU(device);
    REQUIRE(count && type <= 1 && counter <= 1);
    *count = 0;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetMemoryErrorCounter(nvmlDevice_t device, unsigned int type, unsigned int counter,
                                                      unsigned int location, unsigned long long *count) {
    ENTER_GPU(device);
    (void)location;
    REQUIRE(count && type <= 1 && counter <= 1);
    *count = 0;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetDetailedEccErrors(nvmlDevice_t device, unsigned int type, unsigned int counter,
                                                     nvmlEccErrorCounts_t *counts) {
    ENTER_GPU(device);
    REQUIRE(counts && type <= 1 && counter <= 1);
    *counts = (nvmlEccErrorCounts_t){0};
    return NVML_SUCCESS;
}

/* Ampere and later remap rows; what came before retires pages. */
NVML_API nvmlReturn_t nvmlDeviceGetRemappedRows(nvmlDevice_t device, unsigned int *correctable, unsigned int *uncorrectable,
                                                unsigned int *pending, unsigned int *failed) {
    ENTER_GPU(device);
    if (gpu->architecture < ARCHITECTURE_AMPERE)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    REQUIRE(correctable && uncorrectable && pending && failed);
    *correctable = *uncorrectable = *pending = *failed = 0;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetRetiredPages(nvmlDevice_t device, unsigned int cause, unsigned int *count,
                                                unsigned long long *addresses) {
    ENTER_GPU(device);
    if (gpu->architecture >= ARCHITECTURE_AMPERE)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    REQUIRE(cause <= 1);
    return claim(0, count, addresses);
}

NVML_API nvmlReturn_t nvmlDeviceGetRetiredPagesPendingStatus(nvmlDevice_t device, nvmlEnableState_t *pending) {
    ENTER_GPU(device);
    if (gpu->architecture >= ARCHITECTURE_AMPERE)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    REQUIRE(pending);
    *pending = 0;
    return NVML_SUCCESS;
}

static nvmlReturn_t field(const struct state *state, const struct gpu *gpu, unsigned int id, unsigned int *value) {
    switch (id) {
    case 185: /* average and present power */
    case 186:
        *value = gpu->power_draw_mw;
        return NVML_SUCCESS;
    case 187:
        *value = gpu->power_min_mw;
        return NVML_SUCCESS;
    case 188:
        *value = gpu->power_max_mw;
        return NVML_SUCCESS;
    case 189: /* the default, present and requested limit */
    case 190:
    case 192:
        *value = gpu->power_default_mw;
        return NVML_SUCCESS;
    case 184: /* whether the MIG mode changes without a reset */
        *value = gpu->mig_capable && gpu->architecture >= ARCHITECTURE_HOPPER;
        return NVML_SUCCESS;
    case 199: /* whether profiles can be listed while MIG is off */
        *value = gpu->mig_capable && state->mig_independent;
        return NVML_SUCCESS;
    default:
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    }
}

/* Each field says for itself whether it is there. */
NVML_API nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values) {
    ENTER_GPU(device);
    REQUIRE(count > 0 && values);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 0; i < count; i++) {
        values[i].timestamp = now.tv_sec * 1000000LL + now.tv_nsec / 1000;
        values[i].latencyUsec = 0;
        values[i].valueType = NVML_VALUE_TYPE_UNSIGNED_INT;
        values[i].value.ullVal = 0;
        values[i].nvmlReturn = field(state, gpu, values[i].fieldId, &values[i].value.uiVal);
    }
    return NVML_SUCCESS;
}
