"""What answers each kind of request."""
