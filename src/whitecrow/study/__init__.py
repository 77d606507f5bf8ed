"""Honest studies: data sets, detectors, contamination shares and seeds under one protocol."""
