"""Deep anomaly detection."""
