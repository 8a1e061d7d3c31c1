"""Every change of the tables, in order; run when the service starts."""
