"""When things happen: workflows that decide and never touch the world."""
