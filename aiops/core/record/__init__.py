"""Stage record: stories and storable forms."""
