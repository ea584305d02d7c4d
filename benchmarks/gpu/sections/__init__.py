"""One section a file: ``measure(day)`` measures, and writes every result at once."""
