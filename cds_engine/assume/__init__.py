"""Consistency, positivity and exchangeability are measured, and written down to be signed."""
