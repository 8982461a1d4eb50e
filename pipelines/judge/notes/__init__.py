"""Notes: what stands around each, how likely it is, and how the line moves."""
