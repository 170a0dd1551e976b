"""The DiT: fetches a picture's KV context from the Thinker that holds it, and denoises from it."""
