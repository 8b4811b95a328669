"""A recording of a real control plane, and what replays it."""
