"""What a corpus holds, what was wrong with it, how it grew, and who holds how much of it."""
