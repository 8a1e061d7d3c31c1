"""A fitted regime becomes a rule bundle that decides exactly as it does, with the proof beside."""
