"""Pages for people: rendered on the server, usable without scripts, by keyboard and on paper."""
