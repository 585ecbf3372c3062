"""A stand-in QAD Adaptive tenant: strict, stateful, over real HTTP on loopback."""
