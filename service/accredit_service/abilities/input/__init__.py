"""From what a caller writes to what is meant: texts cleaned, agents and users found."""
