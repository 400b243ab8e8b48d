"""When things happen: workflows decide through the domain and never touch the world."""
