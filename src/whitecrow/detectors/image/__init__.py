"""Detectors for images."""
