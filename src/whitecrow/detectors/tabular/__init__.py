"""Detectors for tables."""
