"""What the registry can do, one module per subject.

A reading ability is ``(app, caller, query) -> value``; a mutating one is
``(app, call, command) -> Written | Replayed`` and decides on the rows of its own transaction.
An ability holds the rules. It has not heard of gRPC, of protobuf messages or of SQL.
"""
