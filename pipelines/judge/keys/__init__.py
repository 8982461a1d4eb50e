"""Keys: found in the notes of a tune, of its strains, and what is outside them."""
