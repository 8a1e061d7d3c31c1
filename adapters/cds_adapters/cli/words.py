"""A described bundle, printed."""
