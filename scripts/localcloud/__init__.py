"""The embedded AWS of ENV=local: moto behind a thin layer, with real PostgreSQL and real hosts (rehearsal only)."""
