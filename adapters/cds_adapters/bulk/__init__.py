"""Whole exports are read, laid out by patient on disk, and replayed shard by shard."""
