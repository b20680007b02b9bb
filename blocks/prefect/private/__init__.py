"""What Prefect does not promise to keep, touched here and nowhere else; tests/unit/test_prefect_contract.py watches it."""
