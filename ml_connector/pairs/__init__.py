"""One folder per pair: the only room where two systems meet."""
