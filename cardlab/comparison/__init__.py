"""Two corpora side by side: one's own and the Hub, or one corpus at two times."""
