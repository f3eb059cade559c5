"""Stage act: changes become requests as data."""
