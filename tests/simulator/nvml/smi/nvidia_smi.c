/* A stand-in for nvidia-smi, for the few things of it that have no place in NVML or are handy on a host:
 *
 *     nvidia-smi -L                            lists GPUs and MIG devices
 *     nvidia-smi --gpu-reset [-i GPU[,...]]    resets them (index, UUID or PCI address); also -r
 *     nvidia-smi --simulate-boot               not in the real one: what a boot of the machine does to its GPUs
 *
 * It loads the library that lies beside it, else the system's. Exit codes are NVML's error numbers, as nvidia-smi documents its own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "nvml_abi.h"

#define MAX_CHOSEN 32

static nvmlReturn_t (*init)(void);
static nvmlReturn_t (*count_gpus)(unsigned int *);
static nvmlReturn_t (*by_index)(unsigned int, nvmlDevice_t *);
static nvmlReturn_t (*by_uuid)(const char *, nvmlDevice_t *);
static nvmlReturn_t (*by_bus)(const char *, nvmlDevice_t *);
static nvmlReturn_t (*get_name)(nvmlDevice_t, char *, unsigned int);
static nvmlReturn_t (*get_uuid)(nvmlDevice_t, char *, unsigned int);
static nvmlReturn_t (*get_pci)(nvmlDevice_t, nvmlPciInfo_t *);
static nvmlReturn_t (*count_mig)(nvmlDevice_t, unsigned int *);
static nvmlReturn_t (*mig_by_index)(nvmlDevice_t, unsigned int, nvmlDevice_t *);
static nvmlReturn_t (*reset)(const nvmlDevice_t *, unsigned int);
static nvmlReturn_t (*boot)(void);
static const char *(*error_string)(nvmlReturn_t);

static void *open_library(void) {
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);
    if (length > 0) {
        path[length] = '\0';
        strcpy(strrchr(path, '/') + 1, "libnvidia-ml.so.1");
        void *library = dlopen(path, RTLD_NOW);
        if (library)
            return library;
    }
    return dlopen("libnvidia-ml.so.1", RTLD_NOW);
}

static void find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    if (!symbol) {
        printf("NVIDIA-SMI couldn't find %s in libnvidia-ml.so\n", name);
        exit(NVML_ERROR_FUNCTION_NOT_FOUND);
    }
    memcpy(function, &symbol, sizeof symbol);
}

static void load(void) {
    void *library = open_library();
    if (!library) {
        puts("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.");
        exit(NVML_ERROR_LIBRARY_NOT_FOUND);
    }
    find(library, "nvmlInit_v2", &init);
    find(library, "nvmlDeviceGetCount_v2", &count_gpus);
    find(library, "nvmlDeviceGetHandleByIndex_v2", &by_index);
    find(library, "nvmlDeviceGetHandleByUUID", &by_uuid);
    find(library, "nvmlDeviceGetHandleByPciBusId_v2", &by_bus);
    find(library, "nvmlDeviceGetName", &get_name);
    find(library, "nvmlDeviceGetUUID", &get_uuid);
    find(library, "nvmlDeviceGetPciInfo_v3", &get_pci);
    find(library, "nvmlDeviceGetMaxMigDeviceCount", &count_mig);
    find(library, "nvmlDeviceGetMigDeviceHandleByIndex", &mig_by_index);
    find(library, "nvmlSimulatorReset", &reset);
    find(library, "nvmlSimulatorBoot", &boot);
    find(library, "nvmlErrorString", &error_string);
}

static int list(void) {
    unsigned int gpus = 0;
    count_gpus(&gpus);
    for (unsigned int i = 0; i < gpus; i++) {
        nvmlDevice_t gpu, mig;
        char name[128], uuid[128];
        nvmlReturn_t refused = by_index(i, &gpu);
        if (refused != NVML_SUCCESS) {
            printf("Unable to determine the device handle for gpu %u: %s\n", i, error_string(refused));
            continue;
        }
        get_name(gpu, name, sizeof name);
        get_uuid(gpu, uuid, sizeof uuid);
        printf("GPU %u: %s (UUID: %s)\n", i, name, uuid);
        unsigned int most = 0;
        count_mig(gpu, &most);
        for (unsigned int j = 0; j < most && mig_by_index(gpu, j, &mig) == NVML_SUCCESS; j++) {
            get_name(mig, name, sizeof name);
            get_uuid(mig, uuid, sizeof uuid);
            printf("  %-15s Device %2u: (UUID: %s)\n", strstr(name, "MIG "), j, uuid);
        }
    }
    return NVML_SUCCESS;
}

static nvmlReturn_t look_up(const char *word, nvmlDevice_t *gpu) {
    char *end;
    unsigned long index = strtoul(word, &end, 10);
    if (*word && *end == '\0')
        return by_index((unsigned int)index, gpu);
    return strncmp(word, "GPU-", 4) == 0 ? by_uuid(word, gpu) : by_bus(word, gpu);
}

static int choose(char *words, nvmlDevice_t *chosen, unsigned int *count) {
    *count = 0;
    for (char *word = strtok(words, ","); word && *count < MAX_CHOSEN; word = strtok(NULL, ",")) {
        if (look_up(word, &chosen[*count]) != NVML_SUCCESS) {
            printf("No devices were found for \"%s\"\n", word);
            return NVML_ERROR_NOT_FOUND;
        }
        ++*count;
    }
    return NVML_SUCCESS;
}

static int choose_all(nvmlDevice_t *chosen, unsigned int *count) {
    nvmlReturn_t refused = count_gpus(count);
    for (unsigned int i = 0; refused == NVML_SUCCESS && i < *count; i++)
        refused = by_index(i, &chosen[i]);
    return refused;
}

static int reset_gpus(char *words) {
    nvmlDevice_t chosen[MAX_CHOSEN];
    unsigned int count;
    int refused = words ? choose(words, chosen, &count) : choose_all(chosen, &count);
    if (refused != NVML_SUCCESS)
        return refused;
    nvmlReturn_t result = reset(chosen, count);
    if (result == NVML_ERROR_INVALID_STATE)
        puts("GPU reset of the devices chosen is not possible: NVLink couples them with others, which have to be reset together.");
    else if (result != NVML_SUCCESS)
        puts("The following GPUs could not be reset:");
    for (unsigned int i = 0; i < count; i++) {
        nvmlPciInfo_t pci = {0};
        get_pci(chosen[i], &pci);
        if (result == NVML_SUCCESS)
            printf("GPU %s was successfully reset.\n", pci.busId);
        else
            printf("  GPU %s: %s\n", pci.busId, error_string(result));
    }
    puts(result == NVML_SUCCESS ? "All done." : "");
    return (int)result;
}

static int usage(const char *word) {
    printf("Invalid combination of input arguments: %s. This stand-in knows -L, --gpu-reset [-i GPU[,...]] and --simulate-boot.\n", word);
    return NVML_ERROR_INVALID_ARGUMENT;
}

int main(int argc, char **argv) {
    bool listing = false, resetting = false, booting = false;
    char *chosen = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-L") == 0 || strcmp(argv[i], "--list-gpus") == 0)
            listing = true;
        else if (strcmp(argv[i], "-r") == 0 || strcmp(argv[i], "--gpu-reset") == 0)
            resetting = true;
        else if (strcmp(argv[i], "--simulate-boot") == 0)
            booting = true;
        else if ((strcmp(argv[i], "-i") == 0 || strcmp(argv[i], "--id") == 0) && i + 1 < argc)
            chosen = argv[++i];
        else if (strncmp(argv[i], "--id=", 5) == 0)
            chosen = argv[i] + 5;
        else
            return usage(argv[i]);
    }
    if (listing + resetting + booting != 1 || (chosen && !resetting))
        return usage("");
    load();
    nvmlReturn_t started = init();
    if (started != NVML_SUCCESS) {
        printf("Failed to initialize NVML: %s\n", error_string(started));
        return started;
    }
    return listing ? list() : resetting ? reset_gpus(chosen) : (int)boot();
}
