"""Two sites and a witness in virtual time: what daemons of a failover group do when places and links fail."""
