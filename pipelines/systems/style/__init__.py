"""Another sound for music: performances rendered with known sounds, and sound from spectra."""
