"""Melody curves: models that continue a tune, a note after another."""
