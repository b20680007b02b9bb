"""A mail: its letter out of a template, and the hand-over to the mail server."""
