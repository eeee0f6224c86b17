"""The dynamics of a game: its flow, its update map, what both do at the equilibrium, and pictures of them."""
