"""Which columns make a row anomalous, what is normal instead, and which normal rows are nearest."""

from whitecrow.explain.attribution import Method, explain
from whitecrow.explain.explanation import Explanation, Reason

__all__ = ["Explanation", "Method", "Reason", "explain"]
