"""The parts of the `redrive` command that ask Prefect or the ledger; one file per noun."""
