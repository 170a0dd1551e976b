"""What `bagel doctor` and `bagel config check` look at."""
