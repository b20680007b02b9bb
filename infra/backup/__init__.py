"""Backups of everything that an installation must not lose: the three databases as of one moment, and the results."""
