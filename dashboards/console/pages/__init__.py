"""The pages, one file each: what is read for it, and the acts that stand on it."""
