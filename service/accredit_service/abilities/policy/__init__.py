"""Who may do what: one row for each method, and the rules of rights as pure functions."""
