"""The processes of a deployment, one package each. They never import each other; only launch and cli stand above."""
