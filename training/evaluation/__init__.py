"""How good the toy model is: held-out tasks through the real services, judged by code; and its gallery."""
