"""What stands beside the store: agents that packages and manifests declare, and generators."""
