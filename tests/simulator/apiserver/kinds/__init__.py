"""Rules for single kinds: defaults, validation and what an update may change."""
