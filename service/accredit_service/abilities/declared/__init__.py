"""Declared agents (the RegistryService): registered by calls, planned, created where missing.

What a definition may say, and which one wins, stands in ``definitions``.
"""
