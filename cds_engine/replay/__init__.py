"""The past is decided again, point by point, from nothing but what was known at each point."""
