"""What is owned: books as files hold them, and accounts as arrays of integers."""
