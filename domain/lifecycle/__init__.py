"""One managed certificate's life as a pure machine: decide -> events -> evolve, with an agenda and a next step."""
