"""The directory manager: the files of agents, of users and of everybody, below one root.

A ``Place`` is a directory of the tree, and ``tree`` opens it. ``files`` reads and writes in it; the
bytes reach the disk in ``folders.replace_content``. ``daily`` keeps an agent's journal there.
``sweeping`` keeps tree and rows together, ``identity`` knows whose the tree is, ``layout`` renames
a tree of before schema 8. ``directories`` puts all of them together, and is what the abilities
hold.

Nothing but ``folders`` and ``locks`` gives a name to the operating system, and always beside the
descriptor of the directory that the name is in: no path is ever put together, and no link followed.
"""
