"""Everything that outlives the process: tables, records, transactions, the change log.

Rows become frozen records on the way out and records or plain values become rows on the way
in. Nothing here has heard of gRPC, of protobuf messages or of who may do what.
"""
