"""Measurements, never tests: ratios against stated peers and limits, taken in one run."""
