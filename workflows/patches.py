"""Patch ids: each with its date and the fact that lets it be removed.  None is needed before the first release."""
