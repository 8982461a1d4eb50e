"""What is trained: a folder for each system."""
