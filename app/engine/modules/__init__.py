"""What modules are and which mode they are in: rows, flags, structure, policies, listening to flags."""
