"""What a run asks, of whom, when, and for how much."""
