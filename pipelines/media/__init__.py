"""What people see and hear: pieces out, windows in, piano rolls, sound."""
