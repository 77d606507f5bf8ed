"""Protocols: from labels and a seed to the rows that train and the rows that test, and nothing else."""

from whitecrow.study.protocols.registry import protocol, protocol_names
from whitecrow.study.protocols.splits import Protocol, Split

__all__ = ["Protocol", "Split", "protocol", "protocol_names"]
