"""Definitions of agents: what one may say, and which one wins where several say it."""
