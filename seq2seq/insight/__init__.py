"""Pictures of what a trained network does: for each the data, and the figure."""
