"""Profiles of running jobs: where their processor time goes, and which lines keep memory."""
