"""What `scripts/accept` and `scripts/bench` share: the server under test, process costs, result tables. Standard library only."""
