"""Fleets of containers whose requests are sized: their use, what too little does to them, and who sizes them how."""
