"""Rest while nobody asks for anything."""
