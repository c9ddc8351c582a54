"""Messages and stubs of accredit.v1, generated from protos/accredit/v1."""
