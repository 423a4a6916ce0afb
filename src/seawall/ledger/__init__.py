"""What is owned: books as files hold them, accounts as arrays of integers, and the ledger that records them."""
