"""Regimes and their values are learned from trajectories of trials and cohorts."""
