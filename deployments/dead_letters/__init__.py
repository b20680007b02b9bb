"""Dead letters: the ledger that keeps them, and redriving them."""
