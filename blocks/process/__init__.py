"""What a job's process and its worker know and tell of each other."""
