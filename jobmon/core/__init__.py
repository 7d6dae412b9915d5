"""The pure core: what is known, what follows from it. No clock, file or network inside."""
