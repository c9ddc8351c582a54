"""Declared agents: what says that they should exist, and what makes those that do not.

``declarations`` has what one source says of one agent, ``declaring`` the rules for it, and
``definitions`` which of them win. ``registering`` keeps those that calls declare. ``planning`` says
what would become of each, ``reconciling`` goes through all of them, ``creating`` makes agents.
"""
