"""The contract as the server carries it: a descriptor set, with comments, of all that it speaks.

`make generate` makes the file, of accredit/v1, of what that imports, and of the types of the
details that come with an error.
"""

from importlib import resources


def descriptor_set() -> bytes:
    """A google.protobuf.FileDescriptorSet. Each file comes after those that it imports."""
    return resources.files(__package__).joinpath("contract.binpb").read_bytes()
