/* Injected faults. */
#ifndef FAULT_H
#define FAULT_H

#include "state.h"

#define FAULTS_OF_NODE MAX_GPUS

/* What is injected into this call of the node, or of the GPU with that index. Does not return where the caller is to be killed. */
nvmlReturn_t fault_injected(const struct state *state, unsigned int scope, const char *function);

/* To be told of a newly read state: calls are counted from the state on that first holds a fault. */
void fault_keep_counts(const struct state *state);

#endif
