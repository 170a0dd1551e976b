"""The Thinker: text and image understanding, and the KV context of a picture to be made."""
