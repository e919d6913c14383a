"""Small frame -> altair chart: one function for each kind of result."""
