"""The scheduler: filters and scores nodes, binds pods, and says why it could not."""
