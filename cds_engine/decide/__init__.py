"""A rule bundle and a history become one decision, with the path that led to it."""
