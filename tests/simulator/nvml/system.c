/* Start, end, and what concerns no single GPU. */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "state.h"

NVML_API nvmlReturn_t nvmlInitWithFlags(unsigned int flags) {
    __attribute__((cleanup(state_unlock))) int locked __attribute__((unused)) = state_lock(__func__);
    REQUIRE((flags & ~(NVML_INIT_FLAG_NO_GPUS | NVML_INIT_FLAG_NO_ATTACH)) == 0);
    return state_initialize((flags & NVML_INIT_FLAG_NO_GPUS) != 0);
}

NVML_API nvmlReturn_t nvmlInit_v2(void) {
    return nvmlInitWithFlags(0);
}

NVML_API nvmlReturn_t nvmlInit(void) {
    return nvmlInitWithFlags(0);
}

NVML_API nvmlReturn_t nvmlShutdown(void) {
    __attribute__((cleanup(state_unlock))) int locked __attribute__((unused)) = state_lock(__func__);
    return state_shutdown();
}

/* Works before nvmlInit: it is how a client says why nvmlInit failed. */
NVML_API const char *nvmlErrorString(nvmlReturn_t result) {
    static const char *const texts[] = {
        [NVML_SUCCESS] = "Success",
        [NVML_ERROR_UNINITIALIZED] = "Uninitialized",
        [NVML_ERROR_INVALID_ARGUMENT] = "Invalid Argument",
        [NVML_ERROR_NOT_SUPPORTED] = "Not Supported",
        [NVML_ERROR_NO_PERMISSION] = "Insufficient Permissions",
        [NVML_ERROR_ALREADY_INITIALIZED] = "Already Initialized",
        [NVML_ERROR_NOT_FOUND] = "Not Found",
        [NVML_ERROR_INSUFFICIENT_SIZE] = "Insufficient Size",
        [NVML_ERROR_INSUFFICIENT_POWER] = "Insufficient External Power",
        [NVML_ERROR_DRIVER_NOT_LOADED] = "Driver Not Loaded",
        [NVML_ERROR_TIMEOUT] = "Timeout",
        [NVML_ERROR_IRQ_ISSUE] = "Interrupt Request Issue",
        [NVML_ERROR_LIBRARY_NOT_FOUND] = "NVML Shared Library Not Found",
        [NVML_ERROR_FUNCTION_NOT_FOUND] = "Function Not Found",
        [NVML_ERROR_CORRUPTED_INFOROM] = "Corrupted infoROM",
        [NVML_ERROR_GPU_IS_LOST] = "GPU is lost",
        [NVML_ERROR_RESET_REQUIRED] = "GPU requires reset",
        [NVML_ERROR_OPERATING_SYSTEM] = "GPU access blocked by the operating system",
        [NVML_ERROR_LIB_RM_VERSION_MISMATCH] = "Driver/library version mismatch",
        [NVML_ERROR_IN_USE] = "In use by another client",
        [NVML_ERROR_MEMORY] = "Insufficient Memory",
        [NVML_ERROR_NO_DATA] = "No data",
        [NVML_ERROR_VGPU_ECC_NOT_SUPPORTED] = "ECC is not supported on vGPU",
        [NVML_ERROR_INSUFFICIENT_RESOURCES] = "Insufficient Resources",
        [NVML_ERROR_FREQ_NOT_SUPPORTED] = "Requested frequency is not supported",
        [NVML_ERROR_ARGUMENT_VERSION_MISMATCH] = "Argument version mismatch",
        [NVML_ERROR_DEPRECATED] = "Deprecated",
        [NVML_ERROR_NOT_READY] = "System is not ready",
        [NVML_ERROR_GPU_NOT_FOUND] = "No GPUs found",
        [NVML_ERROR_INVALID_STATE] = "Resource is not in a state to perform the requested operation",
        [NVML_ERROR_RESET_TYPE_NOT_SUPPORTED] = "Reset type is not supported",
    };
    if ((unsigned int)result < sizeof texts / sizeof *texts)
        return texts[result];
    return "Unknown Error";
}

NVML_API nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    ENTER();
    return copy_string(state->driver_version, version, length);
}

NVML_API nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length) {
    ENTER();
    return copy_string(state->nvml_version, version, length);
}

NVML_API nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) {
    ENTER();
    REQUIRE(version);
    *version = (int)state->cuda_driver_version;
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version) {
    return nvmlSystemGetCudaDriverVersion(version);
}

/* The real library asks the kernel; the node's processes do not exist on this machine, so its proc/ directory is asked. A name that
 * does not fit is cut off, not refused. */
NVML_API nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length) {
    ENTER();
    REQUIRE(name && length > 0);
    char path[PATH_MAX + 64], file[48], line[1024];
    snprintf(file, sizeof file, "proc/%u/cmdline", pid);
    state_path(file, path, sizeof path);
    FILE *stream = fopen(path, "re");
    if (!stream)
        return refuse(NVML_ERROR_NOT_FOUND);
    size_t read = fread(line, 1, sizeof line - 1, stream);
    fclose(stream);
    line[read] = '\0';
    snprintf(name, length, "%s", line); /* arguments follow a NUL: the program only */
    return NVML_SUCCESS;
}

NVML_API nvmlReturn_t nvmlUnitGetCount(unsigned int *count) {
    ENTER();
    REQUIRE(count);
    *count = 0; /* S-class units are long gone */
    return NVML_SUCCESS;
}

/* The only query that works before nvmlInit. */
NVML_API nvmlReturn_t nvmlGetExcludedDeviceCount(unsigned int *count) {
    REQUIRE(count);
    *count = 0;
    return NVML_SUCCESS;
}
