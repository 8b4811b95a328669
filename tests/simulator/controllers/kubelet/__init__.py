"""The nodes: kubelets with their device managers, NVIDIA's device plugin, and what a node shows in files."""
