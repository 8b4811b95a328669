"""The simulated API server under real clients."""
