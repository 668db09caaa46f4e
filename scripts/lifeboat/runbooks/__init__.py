"""Tables of recovery steps."""
