"""The gateway: what Redrive asks Prefect's API about flow runs, and how it changes their states."""
