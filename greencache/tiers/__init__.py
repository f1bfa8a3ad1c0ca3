"""The places where entries are kept, behind one protocol."""
