"""Errors, parameter types, input kinds and the registry. Imports no torch and no detector."""
