"""The DirectoryService: files, journals and starter files; and the types of memory files.

The bytes are ``accredit_storage.directory``'s.
"""
