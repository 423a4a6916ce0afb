"""What things are worth: instruments with their prices at one moment, and the arrays kernels read."""
