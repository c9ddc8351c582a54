"""Tokens minted, listed, rotated and ended; and the keys under which they are minted.

For the text of a token see ``credentials.bearer``.
"""
