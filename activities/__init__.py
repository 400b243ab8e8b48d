"""How the world is touched: thin classes whose parts are injected, one Temporal activity per method."""
