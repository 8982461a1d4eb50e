"""Sounds made for tests."""

import numpy as np


def tone(hertz: float, rate: int = 16_000, seconds: float = 1.0) -> np.ndarray:
    """A sine of half the full scale, float32 shaped [frames]."""
    time = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def clicks(rate: int = 16_000, seconds: float = 1.0) -> np.ndarray:
    """Four bursts of noise a second that die away, as drums do; float32 shaped [frames]."""
    frames = round(rate * seconds)
    noise = np.random.default_rng(0).normal(size=frames)
    decay = np.exp(-(np.arange(frames) % (rate // 4)) / (0.02 * rate))
    return (0.2 * noise * decay).astype(np.float32)
