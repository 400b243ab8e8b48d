"""Custody of private keys: made, wrapped and used inside the deploy worker, named everywhere else by a KeyRef."""
