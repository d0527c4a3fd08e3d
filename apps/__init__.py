"""What runs inside the pods. Apps never import components."""
