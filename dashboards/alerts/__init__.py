"""Alert rules for Prometheus: `thresholds.yaml` says when, `rules.py` says what, `rules.yaml` is what Prometheus loads."""
