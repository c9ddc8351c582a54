"""Tokens minted, listed, rotated and ended; and the keys under which they are minted."""
