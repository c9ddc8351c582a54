"""What every call passes through on its way to a servicer: who calls, may they, what went wrong.

``pipeline`` is the adapter to gRPC and the only part that knows its four call shapes. The rest are
steps: context managers around a call, told ``Call`` and nothing else. Their order is one list, in
``server.py``.
"""
