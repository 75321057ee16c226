"""Gates: whether a load may enter and whether a release may leave."""
