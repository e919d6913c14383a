"""Which tags cards carry, of what kind, which go together, and which rise."""
