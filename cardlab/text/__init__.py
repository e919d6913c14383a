"""What cards say and how long they are: words, sections, passages, lengths."""
