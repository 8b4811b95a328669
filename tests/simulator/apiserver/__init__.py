"""The simulated Kubernetes API server: HTTP, discovery, access control, audit and the rules for stored objects."""
