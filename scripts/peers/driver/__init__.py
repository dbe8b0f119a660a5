"""Sets up the engines, runs them in turn, and writes the table."""
