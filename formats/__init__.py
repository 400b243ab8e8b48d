"""What the outside world's bytes mean: pure functions over bytes, to domain values and back."""
