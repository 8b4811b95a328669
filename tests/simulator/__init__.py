"""A simulated Kubernetes cluster with NVIDIA GPUs: test equipment that imports nothing from the collection."""
