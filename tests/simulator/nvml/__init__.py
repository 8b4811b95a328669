"""A simulated NVML: the library in C, the cards it knows, and the state that it reads."""
