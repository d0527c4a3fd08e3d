"""The ComponentResources of a stack."""
