from whitecrow.data.labels import NORMAL_NAMES, Labels, read_labels, require_columns  # noqa: D100, F401
