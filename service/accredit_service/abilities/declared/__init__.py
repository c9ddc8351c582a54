"""Declared agents: registered by calls, planned, and created where they are missing."""
