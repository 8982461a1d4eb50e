"""Transfer of timbre: what it is, methods that need no training, and files through them."""
