"""Published tables as data: one file for each, with every figure's source, and the studies that stand beside it."""
