"""Prefect's server with three calls of our own in front of it."""
