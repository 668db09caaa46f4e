"""The programs on a host's PATH that stand in for Amazon Linux's own; each runs as a process of the host."""
