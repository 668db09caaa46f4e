"""What `lifeboat status` says: pure checks of what was looked at, three-valued, green only by what was seen."""
