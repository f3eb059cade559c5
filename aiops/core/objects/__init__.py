"""Objects of an API server as they are shown: reading them, who steers them, and what we left on them."""
