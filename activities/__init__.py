"""How the world is touched: thin activity classes with injected parts."""
