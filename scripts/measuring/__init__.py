"""What `scripts/accept`, `scripts/bench` and `scripts/soak` share: the server under test, programs around it, process costs, result tables.
Standard library only."""
