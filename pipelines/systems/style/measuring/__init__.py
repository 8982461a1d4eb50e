"""How near transfers come to the truth."""
