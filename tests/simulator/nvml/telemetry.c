/* What the sensors say: use, temperature, power, clocks, the PCIe link. */
#include <time.h>

#include "state.h"

enum { CLOCK_GRAPHICS, CLOCK_SM, CLOCK_MEM, CLOCK_VIDEO, CLOCK_COUNT };

NVML_API nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates) {
    ENTER_GPU(device);
    REQUIRE(rates);
    if (gpu->mig_mode) /* with MIG on, no single number tells how busy the card is */
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    *rates = (nvmlUtilization_t){.gpu = gpu->utilization_gpu, .memory = gpu->utilization_memory};
    return NVML_SUCCESS;
}

/* The media engines rest. */
#define ENGINE_UTILIZATION(function)                                                                        \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, unsigned int *utilization, unsigned int *period) {  \
        ENTER_GPU(device);                                                                                  \
        REQUIRE(utilization && period);                                                                     \
        if (gpu->mig_mode)                                                                                  \
            return refuse(NVML_ERROR_NOT_SUPPORTED);                                                        \
        *utilization = 0;                                                                                   \
        *period = 167000;                                                                                   \
        return NVML_SUCCESS;                                                                                \
    }

ENGINE_UTILIZATION(nvmlDeviceGetEncoderUtilization)
ENGINE_UTILIZATION(nvmlDeviceGetDecoderUtilization)
ENGINE_UTILIZATION(nvmlDeviceGetJpgUtilization)
ENGINE_UTILIZATION(nvmlDeviceGetOfaUtilization)

NVML_API nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned int sensor, unsigned int *temperature) {
    ENTER_GPU(device);
    REQUIRE(sensor == 0 && temperature); /* the only sensor that the call knows is the GPU's own */
    *temperature = gpu->temperature;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_v1_t *temperature) {
    ENTER_GPU(device);
    REQUIRE(temperature);
    if (temperature->version != NVML_STRUCT_VERSION(nvmlTemperature_v1_t, 1))
        return refuse(NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    REQUIRE(temperature->sensorType == 0);
    temperature->temperature = (int)gpu->temperature;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, unsigned int threshold, unsigned int *temperature) {
    static const unsigned int degrees[] = {96, 93, 0, 85, 0, 0, 0, 0}; /* shutdown, slowdown, memory, GPU, acoustic ... */
    ENTER_GPU(device);
    REQUIRE(temperature && threshold < sizeof degrees / sizeof *degrees);
    if (degrees[threshold] == 0)
        return refuse(NVML_ERROR_NOT_SUPPORTED);
    *temperature = degrees[threshold];
    return NVML_SUCCESS;
}

GPU_NUMBER(nvmlDeviceGetPowerUsage, unsigned int, gpu->power_draw_mw)
GPU_NUMBER(nvmlDeviceGetPowerManagementMode, nvmlEnableState_t, 1)
GPU_NUMBER(nvmlDeviceGetPowerManagementLimit, unsigned int, gpu->power_default_mw)
GPU_NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, unsigned int, gpu->power_default_mw)
GPU_NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned int, gpu->power_default_mw)
GPU_NUMBER(nvmlDeviceGetPerformanceState, unsigned int, gpu->performance_state)
GPU_NUMBER(nvmlDeviceGetPowerState, unsigned int, gpu->performance_state)

NVML_API nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned int *least, unsigned int *most) {
    ENTER_GPU(device);
    REQUIRE(least && most);
    *least = gpu->power_min_mw;
    *most = gpu->power_max_mw;
    return NVML_SUCCESS;
}

static unsigned long long millijoules(const struct gpu *gpu) {
    struct timespec up;
    clock_gettime(CLOCK_MONOTONIC, &up); /* as if the card had drawn its present power since the machine started */
    return (unsigned long long)up.tv_sec * gpu->power_draw_mw;
}

GPU_NUMBER(nvmlDeviceGetTotalEnergyConsumption, unsigned long long, millijoules(gpu))

static unsigned int clock_now(const struct gpu *gpu, unsigned int type) {
    if (type == CLOCK_MEM)
        return gpu->clock_memory;
    if (type == CLOCK_VIDEO) /* follows the graphics clock */
        return (unsigned int)((unsigned long long)gpu->clock_graphics * gpu->clock_video_max / gpu->clock_graphics_max);
    return gpu->clock_graphics;
}

static unsigned int clock_most(const struct gpu *gpu, unsigned int type) {
    if (type == CLOCK_MEM)
        return gpu->clock_memory_max;
    return type == CLOCK_VIDEO ? gpu->clock_video_max : gpu->clock_graphics_max;
}

#define CLOCK_OF_TYPE(function, clock)                                                              \
    NVML_API nvmlReturn_t function(nvmlDevice_t device, unsigned int type, unsigned int *mhz) {     \
        ENTER_GPU(device);                                                                          \
        REQUIRE(mhz && type < CLOCK_COUNT);                                                         \
        *mhz = clock(gpu, type);                                                                    \
        return NVML_SUCCESS;                                                                        \
    }

CLOCK_OF_TYPE(nvmlDeviceGetClockInfo, clock_now)
CLOCK_OF_TYPE(nvmlDeviceGetMaxClockInfo, clock_most)
CLOCK_OF_TYPE(nvmlDeviceGetApplicationsClock, clock_most)
CLOCK_OF_TYPE(nvmlDeviceGetDefaultApplicationsClock, clock_most)
CLOCK_OF_TYPE(nvmlDeviceGetMaxCustomerBoostClock, clock_most)

NVML_API nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, unsigned int type, unsigned int id, unsigned int *mhz) {
    ENTER_GPU(device);
    REQUIRE(mhz && type < CLOCK_COUNT && id <= 3); /* current, application's, its default, customer's boost */
    *mhz = id == 0 ? clock_now(gpu, type) : clock_most(gpu, type);
    return NVML_SUCCESS;
}

/* Real cards list dozens; the two ends are enough to be believed. */
static nvmlReturn_t list_clocks(unsigned int most, unsigned int least, unsigned int *count, unsigned int *mhz) {
    nvmlReturn_t refused = claim(2, count, mhz);
    if (refused != NVML_SUCCESS)
        return refused;
    mhz[0] = most;
    mhz[1] = least;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned int *count, unsigned int *mhz) {
    ENTER_GPU(device);
    return list_clocks(gpu->clock_memory_max, 405, count, mhz);
}

NVML_API nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned int memory, unsigned int *count,
                                                           unsigned int *mhz) {
    ENTER_GPU(device);
    if (memory != gpu->clock_memory_max && memory != 405)
        return refuse(NVML_ERROR_NOT_FOUND);
    return list_clocks(gpu->clock_graphics_max, 210, count, mhz);
}

/* Idle is the only reason why a simulated card is slow. */
GPU_NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, gpu->performance_state ? 1 : 0)
GPU_NUMBER(nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, gpu->performance_state ? 1 : 0)
GPU_NUMBER(nvmlDeviceGetSupportedClocksThrottleReasons, unsigned long long, 0x1FF)
GPU_NUMBER(nvmlDeviceGetSupportedClocksEventReasons, unsigned long long, 0x1FF)

NVML_API nvmlReturn_t nvmlDeviceGetViolationStatus(nvmlDevice_t device, unsigned int policy, nvmlViolationTime_t *time) {
    ENTER_GPU(device);
    (void)policy;
    REQUIRE(time);
    *time = (nvmlViolationTime_t){0};
    return NVML_SUCCESS;
}

GPU_NUMBER(nvmlDeviceGetMaxPcieLinkGeneration, unsigned int, gpu->pcie_generation)
GPU_NUMBER(nvmlDeviceGetGpuMaxPcieLinkGeneration, unsigned int, gpu->pcie_generation)
GPU_NUMBER(nvmlDeviceGetCurrPcieLinkGeneration, unsigned int, gpu->performance_state ? 1 : gpu->pcie_generation)
GPU_NUMBER(nvmlDeviceGetMaxPcieLinkWidth, unsigned int, 16)
GPU_NUMBER(nvmlDeviceGetCurrPcieLinkWidth, unsigned int, 16)
GPU_NUMBER(nvmlDeviceGetPcieReplayCounter, unsigned int, 0)

NVML_API nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, unsigned int counter, unsigned int *kilobytes) {
    ENTER_GPU(device);
    REQUIRE(kilobytes && counter <= 1);
    *kilobytes = 0;
    return NVML_SUCCESS;
}
