"""A study goes in; a rule bundle with its evidence comes out."""
