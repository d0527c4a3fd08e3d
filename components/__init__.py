"""The ComponentResources that a stack is made of."""
