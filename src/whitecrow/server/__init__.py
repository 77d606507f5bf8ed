"""The scoring server: what receives HTTP, guards it, and batches the scoring."""
