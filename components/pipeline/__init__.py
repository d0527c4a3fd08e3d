"""The pipeline: a module a stage, and what the program makes for all of them."""
