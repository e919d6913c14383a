"""The same work side by side with what a user would take instead."""
