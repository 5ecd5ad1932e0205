"""Training with Lightning; the only place, beside the data module, that imports it."""
