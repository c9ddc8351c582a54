"""Directories and what is in them: files, journals, starter files, the types of memory files."""
