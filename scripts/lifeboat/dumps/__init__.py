"""What joins the database, its dumps and the bucket that they lie in."""
