"""The criterion language: read, check, print and evaluate statements about a history."""
