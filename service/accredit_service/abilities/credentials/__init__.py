"""Texts of tokens: how they are made, told from foreign ones, and remembered once they are dead."""
