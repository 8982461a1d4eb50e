"""Judges tunes: copied? in rhythm? in its mode? in form? a melody?"""
