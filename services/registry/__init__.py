"""The registry: the master at which stages announce themselves and gateways look them up."""
