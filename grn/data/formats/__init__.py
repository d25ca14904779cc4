"""Readers of single file formats; `grn.data.readers` chooses among them."""
