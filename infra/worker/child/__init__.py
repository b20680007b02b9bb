"""The processes that run jobs, and the template that they are forked from."""
