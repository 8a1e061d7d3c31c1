"""The rule bundle: one versioned, declarative document that carries a regime all the way."""
