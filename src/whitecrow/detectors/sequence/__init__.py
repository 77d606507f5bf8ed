"""Detectors for time series and sequences."""
