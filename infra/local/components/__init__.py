"""The components of the stack on one machine."""
