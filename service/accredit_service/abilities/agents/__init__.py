"""The life of an agent: created, changed, renamed, given away, deleted; and which one is meant."""
