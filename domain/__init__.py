"""The language of Everleaf: every decision of the product, with no clock, no chance and no input or output."""
