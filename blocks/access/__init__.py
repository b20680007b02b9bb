"""What a job may reach: files below allowed folders, addresses outside of the private networks."""
