"""What the tests of the pack run with the scan tools' own Python."""
