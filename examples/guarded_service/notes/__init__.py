"""A service that keeps notes about agents and asks Accredit who calls and what they may do.

`service` is what to look at: the rules of the guard, and the two questions about scope. `store`
keeps the notes and knows nothing of who may see them.
"""
