"""The control plane and the nodes of the simulated cluster: controllers, scheduler, kubelets, device plugins."""
