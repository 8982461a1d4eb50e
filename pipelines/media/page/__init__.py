"""The page to listen: a folder's music as one HTML file that opens from disk."""
