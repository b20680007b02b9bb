"""The table a sync writes to: column types, and the merge."""
