"""What came of one request: a stream folded into its ladder, its row, and what it kept of the contract."""
