"""The directory manager: the files of agents, of users and of everybody, below one root.

A ``Place`` is a directory of the tree, ``tree`` opens it, ``files`` reads and writes in it, and
``daily`` keeps an agent's journal there. ``sweeping`` keeps tree and rows together, ``identity``
knows whose the tree is, ``layout`` renames a tree of before. ``directories`` puts all of them
together, and is what the abilities hold.

Nothing but ``folders`` and ``locks`` gives a name to the operating system, and always beside the
descriptor of the directory that the name is in: no path is ever put together, and no link followed.

An object store would come in beside ``files``, keyed by the ids in the places.
"""
