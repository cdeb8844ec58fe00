"""Ways to run the model."""
