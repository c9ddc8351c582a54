"""The two doors, reading and mutating, and what goes through both: callers, pages, consistency."""
