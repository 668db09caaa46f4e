"""What `make bench` measures besides commands: dumps and restores against the tools that everybody has."""
