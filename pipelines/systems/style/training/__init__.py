"""Training of networks that transfer timbre, on mels and on samples."""
