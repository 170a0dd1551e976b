"""How KV pages get from the process that holds them to the one that reads them. The reader pulls."""
