"""Records, outcomes, keys, money and the three-way match: pure, frozen, exact."""
