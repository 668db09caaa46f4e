"""A scan as other programs read it: each format is one pure function of the report."""
