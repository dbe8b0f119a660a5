"""What runs in the virtual environment: converters, and the workers of the Python engines."""
