"""`make parity`: every case of a golden folder through the product's own engines, compared tensor by tensor."""
