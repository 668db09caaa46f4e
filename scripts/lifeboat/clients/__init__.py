"""One file for each outside service; they translate and never decide."""
