"""Evidence as texts that others read."""
