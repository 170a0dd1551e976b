"""The model in torch: plain tensors in and out, attention metadata always an argument."""
