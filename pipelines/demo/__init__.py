"""The corpus that the project makes itself, so that everything can be tried without a download."""
