"""A client of Cordon written from docs/protocol.md alone."""
