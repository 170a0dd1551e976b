"""The gateway: HTTP in the OpenAI style outside, gRPC to Thinker and DiTs inside. Needs no torch."""
