"""Stage observe: answers become signals."""
