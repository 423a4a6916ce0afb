"""What an account must hold: models, their tables, evaluation of a book, pre-trade what-if."""
