"""What weights are: read from their metadata and graph, by the program at preview and by the job that runs them."""
