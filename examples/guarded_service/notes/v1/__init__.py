"""Generated from protos/ by `make example-generate`."""
