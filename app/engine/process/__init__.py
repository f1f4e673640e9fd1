"""The model process itself: its pipes, the commands that come in, and who carries them out."""
